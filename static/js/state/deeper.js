/** How much deeper to ask. No browser here. */

const TIMES = 2; // a run that is twice as deep takes twice as long: it is here before a hand is there

/** The depth to ask for: the first stop that is at least twice as deep, or the last one; null where there is none above. @param {number[]} stops @param {number} depth */
export function chooseDepth(stops, depth) {
  const deeper = stops.filter((stop) => stop > depth);
  return deeper.find((stop) => stop >= TIMES * depth) ?? deeper.at(-1) ?? null;
}
