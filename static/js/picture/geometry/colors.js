/** Colours as `#rrggbb`. No browser here. */

/** @param {string} from @param {string} to @param {number} share of `to` */
export function mixColors(from, to, share) {
  if (share <= 0 || !from.startsWith('#')) return from; // a run that has not begun is transparent
  const parts = [1, 3, 5].map((at) => {
    const [low, high] = [from, to].map((color) => Number.parseInt(color.slice(at, at + 2), 16));
    return Math.round(low + share * (high - low));
  });
  return `#${parts.map((part) => part.toString(16).padStart(2, '0')).join('')}`;
}
