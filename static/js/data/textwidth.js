/** Estimates how wide texts are, and wraps them. No browser here. */

/** Average width of a letter as a share of the font size; superscript digits are narrower. */
const LETTER = { usual: 0.55, bold: 0.6, narrow: 0.3, raised: 0.42 };
const RAISED = /[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]/;
const NARROW = /[ .,:;'|il1jt()]/;

/** Safety factor for estimated text widths. */
export const WIDER = 1.08;

/** Estimate the width of a text in px. @param {string} text @param {number} size font size @param {boolean} [isBold] */
export function widthOf(text, size, isBold = false) {
  const usual = isBold ? LETTER.bold : LETTER.usual;
  const letters = [...text].map((letter) =>
    RAISED.test(letter) ? LETTER.raised : NARROW.test(letter) ? LETTER.narrow : usual,
  );
  return size * letters.reduce((sum, width) => sum + width, 0);
}

/** Wrap a text into lines of a maximum width in px. @param {string} text @param {number} size @param {number} room @returns {string[]} */
export function wrapText(text, size, room) {
  /** @type {string[]} */
  const lines = [];
  for (const word of text.split(' ')) {
    const longer = lines.length > 0 ? `${lines[lines.length - 1]} ${word}` : word;
    if (lines.length > 0 && widthOf(longer, size) <= room) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}
