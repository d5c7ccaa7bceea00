/** Mixes colours given as `#rrggbb`. No browser here. */

/** Return the colour of an area at a stop; fading also removes the hot colour. @param {string} color @param {import('./shapes.js').Stop} stop @param {import('./shapes.js').Palette} palette */
export function colorAt(color, { heat, fade }, { hot, card }) {
  return mixColors(mixColors(color, hot, heat * (1 - fade)), card, fade);
}

/** Mix two colours. @param {string} from @param {string} to @param {number} share of `to` */
export function mixColors(from, to, share) {
  if (share <= 0 || !from.startsWith('#')) return from; // runs without data are transparent
  const parts = [1, 3, 5].map((at) => {
    const [low, high] = [from, to].map((color) => Number.parseInt(color.slice(at, at + 2), 16));
    return Math.round(low + share * (high - low));
  });
  return `#${parts.map((part) => part.toString(16).padStart(2, '0')).join('')}`;
}
