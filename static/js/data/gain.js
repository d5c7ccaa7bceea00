/** The gain of a run: one definition for the whole page. No browser here. */

import { formatPower, formatRounded } from './numbers.js';

/** @typedef {import('../../types').Columns} Columns */

/** Names of the two gains in findings, by column. */
const NUMBERS = { composite_gain_fwd: 'gain_fwd_log10', composite_gain_bwd: 'gain_bwd_log10' };

/**
 * Return the largest gain of the mixing over depth, log10: the largest factor by which the product of the first l mixing matrices
 * amplifies a signal that all streams share. For several seeds it is the median of each seed's largest gain, as in the findings, and
 * before these arrive the largest value of the median curve. Null if a layer's mixing is unknown; 0 for one stream.
 * @param {Columns} columns
 * @param {'composite_gain_fwd' | 'composite_gain_bwd'} [key] default forward; backward is the gain of the gradient
 * @returns {number | null}
 */
export function gainOf(columns, key = 'composite_gain_fwd') {
  const median = columns.bands.get(key)?.p50; // of several seeds, as log10
  const found = median && columns.summary?.findings.find((finding) => finding.key === 'connection');
  if (found) return found.numbers[NUMBERS[key]];
  const logs = /** @type {Float64Array | undefined} */ (median ?? columns.log10.get(key));
  const values = /** @type {Float64Array | undefined} */ (columns.layers.get(key));
  const isComplete = logs?.every((log10, layer) => !Number.isNaN(log10) || values?.[layer] === 0);
  const known = logs?.filter((log10) => !Number.isNaN(log10)) ?? [];
  return isComplete && known.length > 0 ? Math.max(...known) : null;
}

/** log10 of 1.005: smaller gains are shown as 1.00. */
export const ONE = 0.0021661;

/** Return the layer, from 1, at which the composite forward gain is largest; null if it is not above 1, or for several seeds. @param {Columns} columns @returns {number | null} */
export function peakLayerOf(columns) {
  const gain = gainOf(columns);
  if (gain === null || gain < ONE || columns.bands.has('composite_gain_fwd')) return null;
  const logs = /** @type {Float64Array | undefined} */ (columns.log10.get('composite_gain_fwd'));
  const layer = logs?.indexOf(gain) ?? -1;
  return layer < 0 ? null : layer + 1;
}

/** Format a gain as `×790`. @param {number} log10 @param {number} [digits] */
export const formatGain = (log10, digits) => `×${formatFactor(log10, digits)}`;

/** Format the gain of a run; with one stream it is exactly `×1`. @param {number} log10 @param {number | undefined} streams number of streams of the run */
export const formatRunGain = (log10, streams) => (streams === 1 && log10 === 0 ? '×1' : formatGain(log10));

/**
 * Format a column's number for a preset: a gain as the results table does, else as a value.
 * @param {string} key of the column @param {{value: number | null, log10: number | null, status?: string}} number @param {number | undefined} streams number of streams of the run
 */
export function formatReduced(key, { value, log10, status }, streams) {
  const isGain = key in NUMBERS;
  if (isGain && value === 0) return '×0';
  return isGain && log10 !== null ? formatRunGain(log10, streams) : formatRounded(value, log10, status, 3);
}

/** Format a factor, given as log10, as `790`, `1.00`, `13,000` or `1.2×10¹²`; `digits` defaults to 3. @param {number} log10 @param {number} [digits] */
export function formatFactor(log10, digits = 3) {
  if (log10 >= 5 || log10 < -3) {
    let [exponent, mantissa] = [Math.floor(log10), ''];
    mantissa = (10 ** (log10 - exponent)).toFixed(1);
    if (mantissa === '10.0') [mantissa, exponent] = ['1.0', exponent + 1];
    return `${mantissa}${formatPower(exponent)}`;
  }
  const value = Number((10 ** log10).toPrecision(digits));
  return decimalFormatter(Math.max(0, digits - 1 - Math.floor(Math.log10(value)))).format(value);
}

/** Caches formatters by decimals: creating one takes as long as formatting a hundred numbers. @type {Map<number, Intl.NumberFormat>} */
const formatters = new Map();

/** Return the cached number formatter with so many decimals. @param {number} decimals */
function decimalFormatter(decimals) {
  const found =
    formatters.get(decimals) ??
    new Intl.NumberFormat('en-US', { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  formatters.set(decimals, found);
  return found;
}
