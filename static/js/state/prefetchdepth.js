/** Chooses the depth of a prefetch. No browser here. */

const TIMES = 2; // twice the depth takes twice the time, so the run arrives before the drag reaches it

/** Choose the first stop at least twice as deep, or the last one; null if none is deeper. @param {number[]} stops @param {number} depth */
export function chooseDepth(stops, depth) {
  const deeper = stops.filter((stop) => stop > depth);
  return deeper.find((stop) => stop >= TIMES * depth) ?? deeper.at(-1) ?? null;
}
