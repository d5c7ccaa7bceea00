/** What a curve says at the cursor: its value, or of a curve of several streams the outermost ones, and whose they are. */

/** @typedef {import('../../types').Trace} Trace */

const MAX_NAMED = 3;

/**
 * The points of a trace at the cursor: one, or of several streams the largest and the least, if they can be told apart.
 * @param {Trace} trace `meta.parts` says what `customdata` counts
 * @param {number} place on the axis
 * @returns {{index: number, whose: string}[]} `whose` is empty where there is one line alone
 */
export function outermost(trace, place) {
  /** @type {number[]} */
  const parts = [...trace.x.keys()].filter((index) => trace.x[index] === place);
  const found = parts.filter((index) => trace.y[index] !== null).sort((a, b) => trace.y[a] - trace.y[b]);
  const [least, most] = [found[0], found[found.length - 1]];
  const ends = found.length < 2 || trace.text[least] === trace.text[most] ? found.slice(0, 1) : [most, least];
  return ends.map((index) => ({ index, whose: nameCurves(trace, parts, index) }));
}

/** All parts that read the same as one of them. @param {Trace} trace @param {number[]} parts @param {number} index */
function nameCurves({ meta, customdata, text }, parts, index) {
  if (!meta.parts || parts.length < 2) return '';
  const alike = parts.filter((other) => text[other] === text[index]).map((other) => customdata[other]);
  if (alike.length === parts.length) return `all ${parts.length} ${meta.parts}s`;
  if (alike.length > MAX_NAMED) return `${alike.length} ${meta.parts}s`;
  return `${meta.parts}${alike.length > 1 ? 's' : ''} ${alike.join(', ')}`;
}
