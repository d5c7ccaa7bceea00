/** Colours as `#rrggbb`. No browser here. */

/** The colour of an area at a stop: what fades gets its own colour back. @param {string} color @param {import('./shapes.js').Stop} stop @param {import('./shapes.js').Palette} palette */
export function colorAt(color, { heat, fade }, { hot, card }) {
  return mixColors(mixColors(color, hot, heat * (1 - fade)), card, fade);
}

/** @param {string} from @param {string} to @param {number} share of `to` */
export function mixColors(from, to, share) {
  if (share <= 0 || !from.startsWith('#')) return from; // a run that has not begun is transparent
  const parts = [1, 3, 5].map((at) => {
    const [low, high] = [from, to].map((color) => Number.parseInt(color.slice(at, at + 2), 16));
    return Math.round(low + share * (high - low));
  });
  return `#${parts.map((part) => part.toString(16).padStart(2, '0')).join('')}`;
}
