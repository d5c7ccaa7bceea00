/** Computes the residual mixing of all layers at any drift, from the draws in the start frame. */

import { toNumbers } from '../data/columns.js';
import { MAPS } from './maps.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('../../types').Matrix} Matrix */

/** Largest Sinkhorn work while dragging, in entries times rounds: about 40 ms. */
const MAX_WORK = 1e6;
/** Caches decoded draws. @type {WeakMap<object, Float64Array>} */
const decoded = new WeakMap();

/** Decode the random draws of the drift that a start frame contains. @param {import('../../protocol').Drift} drift */
function decodeDraws(drift) {
  const known = decoded.get(drift);
  if (known) return known;
  const draws = toNumbers(drift.draws);
  decoded.set(drift, draws);
  return draws;
}

/**
 * Compute H_res of the first layers at another drift or number of rounds, (layers, n, n); null if not accurate to 1e-6.
 * @param {Columns} base a record with draws
 * @param {{layers: number, noise: number, rounds: number}} wanted
 * @param {import('../../types').DerivationRules['maps']} maps
 * @returns {Matrix | null}
 */
export function deriveMixing(base, { layers, noise, rounds }, maps) {
  const { start } = base;
  const { connection, dtype } = /** @type {Record<string, any>} */ (start?.spec ?? {});
  const known = maps[connection?.kind];
  const map = MAPS[known?.formula];
  if (!start?.drift || !map || connection.projection === 'newton') return null;
  const n = start.streams;
  const isDouble = dtype === 'float64' && connection.mapping_dtype !== 'float32';
  if (!isDouble && layers > (known.layers ?? Infinity)) return null;
  if (known.iterates && layers * n * n * rounds > MAX_WORK) return null;
  const round = isDouble ? (/** @type {number} */ value) => value : Math.fround;
  const settings = { n, layers, rounds, eps: connection.sinkhorn_eps ?? 0, round };
  const data = new Float64Array(layers * n * n);
  for (let layer = 0; layer < layers; layer++)
    data.set(map(toRawParameters(start.drift, layer, noise), settings), layer * n * n);
  return data.every(Number.isFinite) ? { shape: [layers, n, n], data } : null;
}

/** Compute origin + noise * draws of one layer, in float32 for all types, like Python. @param {import('../../protocol').Drift} drift @param {number} layer @param {number} noise */
function toRawParameters(drift, layer, noise) {
  const [draws, size] = [decodeDraws(drift), drift.origin.length];
  const scale = Math.fround(noise);
  const raw = new Float64Array(size);
  for (let k = 0; k < size; k++)
    raw[k] = Math.fround(Math.fround(draws[layer * size + k] * scale) + /** @type {number} */ (drift.origin[k]));
  return raw;
}
