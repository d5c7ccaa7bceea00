/** The gain of a run: one number, the same wherever a run is named. No browser here. */

import { formatPower } from './numbers.js';

/** @typedef {import('../../types').Columns} Columns */

/** What findings call the two gains. */
const NUMBERS = { composite_gain_fwd: 'gain_fwd_log10', composite_gain_bwd: 'gain_bwd_log10' };

/**
 * The largest gain of the mixing over depth, log10: how many times larger at most a signal that all streams share comes out of the
 * product of the first l mixing matrices. For several seeds it is the median of each seed's largest gain, as the findings state it; until
 * these have come, the largest of the median curve. Null where a layer's mixing is not known; 0 of one stream, which nothing mixes.
 * @param {Columns} columns
 * @param {'composite_gain_fwd' | 'composite_gain_bwd'} [key] backward it is that of the gradient
 * @returns {number | null}
 */
export function gainOf(columns, key = 'composite_gain_fwd') {
  const median = columns.bands.get(key)?.p50; // of several seeds, as log10
  const found = median && columns.summary?.findings.find((finding) => finding.key === 'connection');
  if (found) return found.numbers[NUMBERS[key]];
  const logs = /** @type {Float64Array | undefined} */ (median ?? columns.log10.get(key));
  const values = /** @type {Float64Array | undefined} */ (columns.layers.get(key));
  const isWhole = logs?.every((log10, layer) => !Number.isNaN(log10) || values?.[layer] === 0);
  const known = logs?.filter((log10) => !Number.isNaN(log10)) ?? [];
  return isWhole && known.length > 0 ? Math.max(...known) : null;
}

/** Log10 of 1.005: gains below are 1.00 in the digits that are shown. */
export const ONE = 0.0021661;

/** The layer, from 1, at which the forward gain is largest; null where it does not rise above 1, and of several seeds, whose largest are at several. @param {Columns} columns @returns {number | null} */
export function peakOf(columns) {
  const gain = gainOf(columns);
  if (gain === null || gain < ONE || columns.bands.has('composite_gain_fwd')) return null;
  const logs = /** @type {Float64Array | undefined} */ (columns.log10.get('composite_gain_fwd'));
  const layer = logs?.indexOf(gain) ?? -1;
  return layer < 0 ? null : layer + 1;
}

/** As `×790`. @param {number} log10 @param {number} [digits] */
export const formatGain = (log10, digits) => `×${formatFactor(log10, digits)}`;

/** The same of a run: of one stream, which nothing mixes, it is exactly `×1`. @param {number} log10 @param {Columns} columns */
export const formatRunGain = (log10, { start }) => (start?.streams === 1 && log10 === 0 ? '×1' : formatGain(log10));

/** As `790`, `1.00`, `13,000` or `1.2×10¹²`, with three digits, or fewer where they are not known that well. @param {number} log10 @param {number} [digits] */
export function formatFactor(log10, digits = 3) {
  if (log10 >= 5 || log10 < -3) {
    let [exponent, mantissa] = [Math.floor(log10), ''];
    mantissa = (10 ** (log10 - exponent)).toFixed(1);
    if (mantissa === '10.0') [mantissa, exponent] = ['1.0', exponent + 1];
    return `${mantissa}${formatPower(exponent)}`;
  }
  const value = Number((10 ** log10).toPrecision(digits));
  return formatterOf(Math.max(0, digits - 1 - Math.floor(Math.log10(value)))).format(value);
}

/** By their decimals: to make one takes as long as a hundred numbers. @type {Map<number, Intl.NumberFormat>} */
const formatters = new Map();

/** @param {number} decimals */
function formatterOf(decimals) {
  const found =
    formatters.get(decimals) ??
    new Intl.NumberFormat('en-US', { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  formatters.set(decimals, found);
  return found;
}
