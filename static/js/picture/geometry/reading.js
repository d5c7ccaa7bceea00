/** What the picture shows of a run, read from its columns: sizes of streams before and after every layer, and weights. No browser here. */

import { depthOf } from '../../data/record.js';

/** @typedef {import('../../../types').Columns} Columns @typedef {import('../../../types').Matrix} Matrix */

/** The columns that ribbons are drawn from, which need a pass; and those of the mixing, which follow from its draws. */
export const SIZES = ['act_rms_streams'];
export const MIXING = ['h_res', 'h_pre', 'h_read', 'h_post', 'composite_gain_fwd'];

/**
 * L layers, n streams. Sizes and gradients are log10, (L + 1) rows of n: row 0 is the embedding, row l + 1 what layer l leaves; NaN where
 * nothing is known. Weights have rows for outputs; a spread is their standard deviation over tokens, of dynamic mixing alone.
 * @typedef {{layers: number, streams: number, blocks: string[], sizes: Float64Array, gradients: Float64Array,
 *   status: Map<number, string>, mix: Weights, read: Weights, write: Weights}} Reading
 * @typedef {{mean: Matrix | null, spread: Matrix | null}} Weights
 */

/**
 * @param {Columns} columns of the run, or of a step of its training
 * @param {Columns} [mixed] those that its weights are read from, where they are known before its sizes
 * @returns {Reading | null} null before the first frame
 */
export function toReading(columns, mixed = columns) {
  const layers = depthOf(columns);
  const streams = columns.start?.streams ?? 0;
  if (layers === 0 || streams === 0) return null;
  const weights = mixed.start?.streams === streams ? mixed : columns;
  const find = (/** @type {string} */ key) => toLogs(columns, key, layers, streams);
  return {
    layers,
    streams,
    blocks: columns.start?.blocks ?? [],
    sizes: find('act_rms_streams'),
    gradients: find('grad_rms_streams'),
    status: columns.status.get('act_rms_streams') ?? new Map(),
    mix: weightsOf(weights, 'h_res'),
    read: weightsOf(weights, weights.matrices.has('h_read') ? 'h_read' : 'h_pre'),
    write: weightsOf(weights, 'h_post'),
  };
}

/** @param {Columns} columns @param {string} key @returns {Weights} */
function weightsOf({ matrices }, key) {
  return { mean: matrices.get(key) ?? null, spread: matrices.get(`${key}_std`) ?? null };
}

/** @param {Columns} columns @param {string} key @param {number} layers @param {number} streams */
function toLogs(columns, key, layers, streams) {
  const logs = new Float64Array((layers + 1) * streams).fill(NaN);
  const first = columns.input[key]; // of a step that an earlier version stored nothing is known of it
  if (first) logs.set(first.map(Math.log10));
  const rows = /** @type {(Float64Array | null)[]} */ (columns.log10.get(key) ?? []);
  for (const [layer, row] of rows.entries()) {
    if (row) logs.set(row, (layer + 1) * streams);
  }
  return logs.map((log10) => (Number.isFinite(log10) ? log10 : NaN));
}

/** A stream's log10 before the layers (0) or after so many. @param {Reading} reading @param {'sizes' | 'gradients'} what @param {number} place @param {number} stream */
export function logAt(reading, what, place, stream) {
  return reading[what][place * reading.streams + stream];
}

/** The last place at which any stream is known; -1 where none is. @param {Reading} reading @param {'sizes' | 'gradients'} what */
export function lastKnown(reading, what) {
  const at = reading[what].findLastIndex((log10) => !Number.isNaN(log10));
  return Math.floor(at / reading.streams);
}

/** The weights of one layer, row by row; null where they are not known. @param {Matrix | null} stack @param {number} layer @returns {Float64Array | Float32Array | null} */
export function weightsAt(stack, layer) {
  if (!stack) return null;
  const size = stack.data.length / stack.shape[0];
  const item = stack.data.subarray(layer * size, (layer + 1) * size);
  return item.every((value) => Number.isNaN(value)) ? null : item;
}

/** Least and largest log10 over runs; null where nothing is known. @param {Reading[]} readings @param {'sizes' | 'gradients'} what @returns {[number, number] | null} */
export function spanOf(readings, what) {
  let [low, high] = [Infinity, -Infinity];
  for (const reading of readings) {
    for (const log10 of reading[what]) {
      if (log10 < low) low = log10;
      if (log10 > high) high = log10;
    }
  }
  return low <= high ? [low, high] : null;
}
