/**
 * How wide a size is drawn. Linear: so many pixels per unit, the same for every run, setting and step, so that a ribbon that changes has
 * changed in the data. Logarithmic: so many pixels per factor of ten. No browser here.
 */

import { formatValue } from '../../data/numbers.js';

/** From log10 to pixels. `unit_px` is the width of 1, `decade_px` what a factor of ten adds. @typedef {{kind: 'linear', unit_px: number} | {kind: 'log', low: number, decade_px: number}} Scale */

const LEAST_PX = 1.4;
/** Beyond every screen, and far from where a canvas loses its precision. */
const MOST_PX = 20_000;
const LOG = { low: -1, decade_px: 4 };

/** @param {number} unit_px @param {boolean} isLog @returns {Scale} */
export function toScale(unit_px, isLog) {
  return isLog ? { kind: 'log', ...LOG } : { kind: 'linear', unit_px };
}

/** @param {Scale} scale @param {number} log10 NaN stays NaN */
export function widthAt(scale, log10) {
  const width = scale.kind === 'linear' ? scale.unit_px * 10 ** log10 : (log10 - scale.low) * scale.decade_px;
  return Math.min(MOST_PX, Math.max(LEAST_PX, width));
}

const DIGITS = 3;

/** A size as people read it. @param {number} log10 */
export function formatLog(log10) {
  const isPlain = Math.abs(log10) < 300; // a double holds it
  return formatValue(isPlain ? 10 ** log10 : null, Number.isNaN(log10) ? null : log10, undefined, DIGITS);
}
