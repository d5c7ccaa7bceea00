/**
 * The shapes that a picture is made of, in numbers: painters for canvas and for SVG draw the same. No browser here.
 *
 * @typedef {number | 'ink' | 'muted' | 'card' | 'grid'} Ink a run by its place, or a colour of the theme
 * @typedef {Record<string, string>} Palette CSS colours by ink
 * @typedef {{kind: 'area', points: number[], color: Ink, opacity: number}} Area a closed outline: x and y in turns, in pixels
 * @typedef {{kind: 'line', points: number[], color: Ink, opacity: number, width: number, isDashed: boolean, isCurve: boolean}} Line
 *   corners in turns; a curve has two ends and two control points between them (cubic Bezier)
 * @typedef {{kind: 'dot', x: number, y: number, radius: number, color: Ink, fill: Ink}} Dot
 * @typedef {{kind: 'box', x: number, y: number, width: number, height: number, radius: number, color: Ink, fill: Ink, opacity: number}} Box
 * @typedef {{kind: 'text', x: number, y: number, text: string, size: number, color: Ink, anchor: 'start' | 'middle' | 'end', isBold: boolean,
 *   hasHalo: boolean, title?: string}} Text `y` of its middle; a halo keeps it legible over lines; a title is the whole of what is cut
 * @typedef {Area | Line | Dot | Box | Text} Shape
 */

export const DASH = [5, 4];
/** Of a letter's size is its width, on average; that of a raised digit is less. */
const LETTER = { usual: 0.58, raised: 0.42 };
const RAISED = /[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]/;

/** @param {number[]} points @param {Ink} color @param {number} [opacity] @returns {Area} */
export function toArea(points, color, opacity = 1) {
  return { kind: 'area', points, color, opacity };
}

/** @param {number[]} points @param {Ink} color @param {Partial<Line>} [look] @returns {Line} */
export function toLine(points, color, look = {}) {
  return { kind: 'line', points, color, opacity: 1, width: 1, isDashed: false, isCurve: false, ...look };
}

/** @param {number} x @param {number} y @param {string} text @param {Ink} color @param {Partial<Text>} [look] @returns {Text} */
export function toText(x, y, text, color, look = {}) {
  return { kind: 'text', x, y, text, color, size: 12, anchor: 'start', isBold: false, hasHalo: false, ...look };
}

/** About how wide a text is, in pixels. @param {string} text @param {number} size of letters */
export function widthOf(text, size) {
  const letters = [...text].map((letter) => (RAISED.test(letter) ? LETTER.raised : LETTER.usual));
  return size * letters.reduce((sum, width) => sum + width, 0);
}

/** The text, or as much of it as fits with an ellipsis. @param {string} text @param {number} size @param {number} room in pixels */
export function fitText(text, size, room) {
  if (widthOf(text, size) <= room) return text;
  let kept = text;
  while (kept && widthOf(`${kept}…`, size) > room) kept = kept.slice(0, -1).trimEnd();
  return `${kept}…`;
}

/** The same shapes elsewhere. @param {Shape[]} shapes @param {number} right in pixels @param {number} down @returns {Shape[]} */
export function move(shapes, right, down) {
  return shapes.map((shape) =>
    'points' in shape
      ? { ...shape, points: shape.points.map((value, index) => value + (index % 2 === 0 ? right : down)) }
      : { ...shape, x: shape.x + right, y: shape.y + down },
  );
}
