/**
 * Findings about an interval of layers, in the wording of `mhc_core/findings` for all layers: mixing, signal and gradient. A finding is
 * left out if the record lacks its numbers.
 */

import { formatGain, ONE } from '../data/gain.js';
import { formatValue } from '../data/numbers.js';
import { depthOf, hasSeveralSeeds, seedsOf } from '../data/record.js';
import { recomputeComposites } from './interval.js';
import { logsOf } from './measure.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('../../types').Finding} Finding @typedef {import('./interval.js').Interval} Interval */

const ALIKE = Math.log10(1.05); // decades
const MAX_DECADES = 308; // of a double
const WAYS = { forward: 'composite_gain_fwd', backward: 'composite_gain_bwd' };

/** Format a magnitude, given as log10, for a sentence. @param {number} log10 */
function formatMagnitude(log10) {
  if (log10 === -Infinity) return '0';
  const value = Math.abs(log10) < MAX_DECADES ? 10 ** log10 : null;
  if (value !== null && Math.abs(value - 1) < 0.0995) return Math.abs(value - 1) > 5e-4 ? value.toFixed(3) : '1.00';
  return formatValue(value, log10, undefined, 3);
}

/** Describe the median over seeds; empty for one seed. @param {Columns} columns */
function describeMedian(columns) {
  const seeds = seedsOf(columns);
  return seeds > 1 ? ` in the median of ${seeds} seeds` : '';
}

/** Compute the largest gains of an interval, log10, by direction; null if unknown, or 1 by construction. @param {Columns} columns @param {Interval} interval @returns {Record<keyof typeof WAYS, number> | null} */
function gainsOf(columns, interval) {
  const [recomputed] = recomputeComposites([columns], interval) ?? [];
  if (!recomputed || (columns.start?.streams ?? 1) < 2) return null;
  const [forward, backward] = Object.values(WAYS).map((key) => largestOf(recomputed, key, interval));
  return Number.isNaN(forward) || Number.isNaN(backward) ? null : { forward, backward };
}

/** Return the largest log10 over an interval; NaN unless all layers are known. @param {Columns} columns @param {string} key @param {Interval} interval */
function largestOf(columns, key, { first, last }) {
  const values = /** @type {Float64Array | undefined} */ (columns.layers.get(key));
  const logs = logsOf(columns, key).slice(first, last + 1);
  if (logs.length === 0) return Number.NaN;
  return Math.max(...logs.map((log10, index) => log10 ?? (values?.[first + index] === 0 ? -Infinity : Number.NaN)));
}

/** List the findings about an interval of layers. @param {Columns} columns @param {Interval} interval @returns {Finding[]} */
export function toIntervalFindings(columns, interval) {
  const last = Math.min(interval.last, depthOf(columns) - 1);
  if (interval.first > last) return []; // the stack has fewer layers
  return [describeMixing, describeActivation, describeGradient].flatMap(
    (describe) => describe(columns, { first: interval.first, last }) ?? [],
  );
}

/** State the gains of the mixing of an interval of layers. @param {Columns} columns @param {Interval} interval @returns {Finding | null} */
function describeMixing(columns, interval) {
  const gains = gainsOf(columns, interval);
  if (!gains) return null;
  const count = interval.last - interval.first + 1;
  const [forward, backward] = [gains.forward, gains.backward].map((log10) => formatGain(log10));
  const averaged = columns.matrices.has('h_res_std') ? ', averaged over tokens,' : '';
  const product = `The ${count === 1 ? 'mixing matrix' : `product of up to ${count} mixing matrices`}${averaged}`;
  const verb = Math.min(gains.forward, gains.backward) > ONE ? 'amplifies up to' : 'has a gain of up to';
  const text = `${product} ${verb} ${forward} forward and ${backward} backward.`;
  const numbers = { gain_fwd_log10: gains.forward, gain_bwd_log10: gains.backward };
  return { key: 'mixing', text, panel: 'gain', numbers };
}

/** State the change of activations from the input of the first layer to the output of the last. @param {Columns} columns @param {Interval} interval @returns {Finding | null} */
function describeActivation(columns, { first, last }) {
  const logs = logsOf(columns, 'act_rms');
  const input = hasSeveralSeeds(columns) ? undefined : columns.input.act_rms;
  const before = first > 0 ? logs[first - 1] : input ? Math.log10(input) : null;
  const after = logs[last] ?? null;
  if (before === null || after === null) return null;
  const count = last - first + 1;
  const over = count === 1 ? '1 layer' : `${count} layers`;
  const [from, to] = [formatMagnitude(before), formatMagnitude(after)];
  const change = Math.abs(after - before) < ALIKE ? 'hardly change:' : after > before ? 'grow' : 'shrink';
  const text = `Activations ${change} from ${from} to ${to} over ${over}${describeMedian(columns)}.`;
  return { key: 'activation', text, panel: 'activation', numbers: { before_log10: before, after_log10: after } };
}

/** State the change of the gradient. For several seeds it compares medians, which is not the median of ratios; the sentence says so. @param {Columns} columns @param {Interval} interval @returns {Finding | null} */
function describeGradient(columns, { first, last }) {
  const logs = logsOf(columns, 'grad_rms');
  const [low, high] = [logs[first] ?? null, logs[last] ?? null];
  if (low === null || high === null || first === last) return null;
  const decades = low - high;
  const size = decades > 0 ? 'larger' : 'smaller';
  const seeds = seedsOf(columns);
  const gradient = seeds > 1 ? `The median over ${seeds} seeds of the gradient` : 'The gradient';
  const text =
    Math.abs(decades) < ALIKE
      ? `${gradient} at layer ${first + 1} is within 5 % of that at layer ${last + 1}.`
      : `${gradient} is ${formatMagnitude(Math.abs(decades))} times ${size} at layer ${first + 1} than at layer ${last + 1}.`;
  return { key: 'gradient', text, panel: 'gradient', numbers: { first_to_last_log10: decades } };
}
