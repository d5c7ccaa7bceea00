/** Reads the data of the picture from a run's columns: sizes of streams before and after every layer, and weights. No browser here. */

import { depthOf, hasSeveralSeeds } from '../data/record.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('../../types').Matrix} Matrix */

/** Metrics of ribbons, which need a pass, and of the mixing, which follow from the draws. */
export const SIZES = ['act_rms_streams'];
export const MIXING = ['h_res', 'h_pre', 'h_read', 'h_post', 'composite_gain_fwd'];

/**
 * L layers, n streams; all of the first seed. Sizes and gradients are log10, (L + 1) rows of n: row 0 is the embedding, row l + 1 the output of layer l; NaN if
 * unknown. Rows of weights are outputs; a spread is their standard deviation over tokens, for dynamic mixing only.
 * @typedef {{layers: number, streams: number, hasSeeds: boolean, blocks: string[], sizes: Float64Array, gradients: Float64Array,
 *   status: Map<number, string>, mix: Weights, read: Weights, write: Weights, outputs?: Matrix | null}} Reading
 * `outputs` are the weights (L, L + 1) of the embedding and earlier outputs in what each layer reads, of runs without mixing only.
 * @typedef {{mean: Matrix | null, spread: Matrix | null}} Weights
 */

/**
 * Read sizes, gradients and weights of a run from its columns; null before the start frame.
 * @param {Columns} columns of the run, or of a training step
 * @param {Columns} [mixed] columns of the weights, if derived before the sizes; default `columns`
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
    hasSeeds: hasSeveralSeeds(columns),
    blocks: (columns.start?.blocks ?? []).map((name) => name.replaceAll('_', ' ').replace(/\bmlp\b/, 'MLP')),
    sizes: find('act_rms_streams'),
    gradients: find('grad_rms_streams'),
    status: columns.status.get('act_rms_streams') ?? new Map(),
    mix: weightsOf(weights, 'h_res'),
    read: weightsOf(weights, weights.matrices.has('h_read') ? 'h_read' : 'h_pre'),
    write: weightsOf(weights, 'h_post'),
    outputs: weights.matrices.has('h_res') ? null : (weights.matrices.get('unfolded') ?? null),
  };
}

/** Read the weights of the mixing of a run, and their standard deviation over tokens. @param {Columns} columns @param {string} key @returns {Weights} */
function weightsOf({ matrices }, key) {
  return { mean: matrices.get(key) ?? null, spread: matrices.get(`${key}_std`) ?? null };
}

/** Read log10 of a metric, including the input. @param {Columns} columns @param {string} key @param {number} layers @param {number} streams */
function toLogs(columns, key, layers, streams) {
  const logs = new Float64Array((layers + 1) * streams).fill(NaN);
  const first = columns.input[key]; // unknown for steps stored by an earlier version
  if (first) logs.set(first.map(Math.log10));
  const rows = /** @type {(Float64Array | null)[]} */ (columns.log10.get(key) ?? []);
  for (const [layer, row] of rows.entries()) {
    if (row) logs.set(row, (layer + 1) * streams);
  }
  return logs.map((log10) => (Number.isFinite(log10) ? log10 : NaN));
}

/** Return the shares, by size, of the embedding (0) and of the outputs of earlier layers in what a layer reads; null if unknown. @param {Reading} reading @param {number} layer from 0 @returns {number[] | null} */
export function sharesAt({ outputs, layers }, layer) {
  const row = layer < layers ? weightsAt(outputs ?? null, layer) : null;
  if (!row) return null;
  const weights = Array.from(row.subarray(0, layer + 1), Math.abs);
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return sum > 0 ? weights.map((weight) => weight / sum) : null;
}

/** Return log10 of a stream's size or gradient after `position` layers. @param {Reading} reading @param {'sizes' | 'gradients'} quantity @param {number} position @param {number} stream */
export function logAt(reading, quantity, position, stream) {
  return reading[quantity][position * reading.streams + stream];
}

/** Return the last position at which the size or gradient of a stream is known; -1 if none. @param {Reading} reading @param {'sizes' | 'gradients'} quantity */
export function lastKnown(reading, quantity) {
  const at = reading[quantity].findLastIndex((log10) => !Number.isNaN(log10));
  return Math.floor(at / reading.streams);
}

/** Return the weights of a layer, row by row; null if unknown. @param {Matrix | null} stack @param {number} layer @returns {Float64Array | Float32Array | null} */
export function weightsAt(stack, layer) {
  if (!stack) return null;
  const size = stack.data.length / stack.shape[0];
  const item = stack.data.subarray(layer * size, (layer + 1) * size);
  return item.every((value) => Number.isNaN(value)) ? null : item;
}

/** Return the smallest and largest log10 over runs; null if unknown. @param {Reading[]} readings @param {'sizes' | 'gradients'} quantity @returns {[number, number] | null} */
export function log10Span(readings, quantity) {
  let [low, high] = [Infinity, -Infinity];
  for (const reading of readings) {
    for (const log10 of reading[quantity]) {
      if (log10 < low) low = log10;
      if (log10 > high) high = log10;
    }
  }
  return low <= high ? [low, high] : null;
}
