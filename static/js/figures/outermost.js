/** Reads a curve at the cursor: its value, or for a curve with several streams the largest and smallest values and their streams. */

/** @typedef {import('../../types').Trace} Trace */

const MAX_NAMED = 3;

/**
 * Find the points of a trace at the cursor: one, or for several streams the largest and the smallest, if their texts differ.
 * @param {Trace} trace `meta.parts` names what `customdata` numbers, such as streams
 * @param {number} position on the axis
 * @returns {{index: number, names: string}[]} `names` is empty for a single line
 */
export function outermostPoints(trace, position) {
  /** @type {number[]} */
  const parts = [...trace.x.keys()].filter((index) => trace.x[index] === position);
  const found = parts.filter((index) => trace.y[index] !== null).sort((a, b) => trace.y[a] - trace.y[b]);
  const [least, most] = [found[0], found[found.length - 1]];
  const ends = found.length < 2 || trace.text[least] === trace.text[most] ? found.slice(0, 1) : [most, least];
  return ends.map((index) => ({ index, names: nameCurves(trace, parts, index) }));
}

/** Name all lines that show the same text as one of them. @param {Trace} trace @param {number[]} parts @param {number} index */
function nameCurves({ meta, customdata, text }, parts, index) {
  if (!meta.parts || parts.length < 2) return '';
  const alike = parts.filter((other) => text[other] === text[index]).map((other) => customdata[other]);
  if (alike.length === parts.length) return `all ${parts.length} ${meta.parts}s`;
  if (alike.length > MAX_NAMED) return `${alike.length} ${meta.parts}s`;
  return `${meta.parts}${alike.length > 1 ? 's' : ''} ${alike.join(', ')}`;
}
