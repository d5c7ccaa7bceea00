/** Builds sketches: curves of all runs as SVG paths on one scale. No browser here. */

/**
 * @typedef {{d: string, end: [number, number] | null}} Line
 * @typedef {{lines: Line[], base: number | null}} Spark `base`: position of 0 if visible
 */

const PAD = 0.06;

/**
 * Build an SVG path for each curve of a small chart; null entries leave a gap, and x spans the length of each curve.
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
  // Draw differences in the last digits as a flat line instead of magnifying noise.
  const least = 1e-2 * Math.max(1, Math.abs(high), Math.abs(low));
  const middle = (low + high) / 2;
  const half = (Math.max(high - low, least) / 2) * (1 + 2 * PAD);
  const toY = (/** @type {number} */ value) => height * (0.5 - (value - middle) / (2 * half));
  const base = toY(0);
  return {
    lines: curves.map((curve) => toLine(curve ?? [], width, toY)),
    base: base >= 0 && base <= height ? roundToTenths(base) : null,
  };
}

/** Build the SVG path of a curve in the sketch of a preset. @param {(number | null)[]} curve @param {number} width @param {(value: number) => number} toY @returns {Line} */
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
    end = [roundToTenths((width * index) / Math.max(1, curve.length - 1)), roundToTenths(toY(value))];
    d += `${isDown ? 'L' : 'M'}${end[0]} ${end[1]}`;
    isDown = true;
  });
  return { d, end };
}

/** Round a coordinate of a sketch to tenths of a pixel. @param {number} value */
function roundToTenths(value) {
  return Math.round(value * 10) / 10;
}
