/**
 * Converts sizes to ribbon widths. Linear: px per unit, the same for every run, setting and step, so that a changed ribbon means changed
 * data. Logarithmic: px per factor of ten. No browser here.
 */

import { formatValue } from '../data/numbers.js';

/** Maps log10 to px. `unit_px` is the width of 1, `decade_px` the width per factor of ten. @typedef {{kind: 'linear', unit_px: number} | {kind: 'log', low: number, decade_px: number}} Scale */

const LEAST_PX = 1.4;
/** Larger than any screen, and small enough for the precision of a canvas. */
const MOST_PX = 20_000;
const LOG = { low: -1, decade_px: 4 };

/** Create the scale that maps sizes to widths in px, linear or logarithmic. @param {number} unit_px @param {boolean} isLog @returns {Scale} */
export function toScale(unit_px, isLog) {
  return isLog ? { kind: 'log', ...LOG } : { kind: 'linear', unit_px };
}

/** Compute the width of a size, in px. @param {Scale} scale @param {number} log10 NaN stays NaN */
export function widthAt(scale, log10) {
  const width = scale.kind === 'linear' ? scale.unit_px * 10 ** log10 : (log10 - scale.low) * scale.decade_px;
  return Math.min(MOST_PX, Math.max(LEAST_PX, width));
}

const DIGITS = 3;

/** Format a size that is given as log10. @param {number} log10 */
export function formatLog(log10) {
  const isPlain = Math.abs(log10) < 300; // within the range of a double
  return formatValue(isPlain ? 10 ** log10 : null, Number.isNaN(log10) ? null : log10, undefined, DIGITS);
}
