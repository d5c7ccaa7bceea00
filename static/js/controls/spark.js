/** Small curves as SVG paths: all runs of a preview on one scale. No browser here. */

/**
 * @typedef {{d: string, end: [number, number] | null}} Line
 * @typedef {{lines: Line[], base: number | null}} Spark `base`: where 0 lies, if it is in sight
 */

const PAD = 0.06;

/**
 * A path for each curve, null entries leaving a gap; x spans each curve's own length.
 * @param {((number | null)[] | null)[]} curves
 * @param {number} width
 * @param {number} height
 * @returns {Spark}
 */
export function toSpark(curves, width, height) {
  const known = curves.flatMap((curve) => curve ?? []).filter((value) => value !== null);
  if (known.length === 0) return { lines: curves.map(() => ({ d: '', end: null })), base: null };
  const low = Math.min(...known);
  const high = Math.max(...known);
  // What differs in the last digits alone is a flat line, not noise blown up.
  const least = 1e-2 * Math.max(1, Math.abs(high), Math.abs(low));
  const middle = (low + high) / 2;
  const half = (Math.max(high - low, least) / 2) * (1 + 2 * PAD);
  const toY = (/** @type {number} */ value) => height * (0.5 - (value - middle) / (2 * half));
  const base = toY(0);
  return {
    lines: curves.map((curve) => toLine(curve ?? [], width, toY)),
    base: base >= 0 && base <= height ? round(base) : null,
  };
}

/** @param {(number | null)[]} curve @param {number} width @param {(value: number) => number} toY @returns {Line} */
function toLine(curve, width, toY) {
  let d = '';
  let isDown = false;
  /** @type {Line['end']} */
  let end = null;
  curve.forEach((value, index) => {
    if (value === null) {
      isDown = false;
      return;
    }
    end = [round((width * index) / Math.max(1, curve.length - 1)), round(toY(value))];
    d += `${isDown ? 'L' : 'M'}${end[0]} ${end[1]}`;
    isDown = true;
  });
  return { d, end };
}

/** @param {number} value */
function round(value) {
  return Math.round(value * 10) / 10;
}
