/** Black or white, whichever is legible on a colour: one of them always has a contrast of 4.5. */

/** Relative luminance of sRGB at which black and white are equally far. */
const EVEN = 0.179;

/** @typedef {[number, string][]} ColorScale stops from 0 to 1, colours as #rrggbb or rgb() */

/** The ink on a scale's colour. @param {ColorScale} scale @param {number} share from 0 to 1 */
export function inkOn(scale, share) {
  const at = Number.isNaN(share) ? 0.5 : Math.min(1, Math.max(0, share)); // of an axis without a width, or a cell without a number
  const above = scale.findIndex(([place]) => place >= at);
  const [low, high] = [scale[Math.max(0, above - 1)], scale[above]];
  const part = high[0] > low[0] ? (at - low[0]) / (high[0] - low[0]) : 0;
  const [from, to] = [toRgb(low[1]), toRgb(high[1])];
  return luminance(from.map((value, index) => value + part * (to[index] - value))) > EVEN ? '#000000' : '#ffffff';
}

/** @param {string} color @returns {number[]} of 0 to 255 */
function toRgb(color) {
  if (color.startsWith('#')) return [1, 3, 5].map((start) => Number.parseInt(color.slice(start, start + 2), 16));
  return (color.match(/[\d.]+/g) ?? []).slice(0, 3).map(Number);
}

/** WCAG's relative luminance. @param {number[]} rgb */
export function luminance(rgb) {
  const [red, green, blue] = rgb.map((value) => (value <= 10.31 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
