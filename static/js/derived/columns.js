/** Derives columns from mixing matrices in the form of frames: cast to the run's type, with logarithms and statuses. Counterpart: `mhc_core/record/columns.py`. */

import { specOf } from '../data/record.js';
import { measureComposites, measureMatrices, OF_MATRICES, toValues, unfoldConnections } from './products.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('../../types').Matrix} Matrix @typedef {(value: number) => number} Cast */

/**
 * Add metrics of the matrices to columns that contain h_pre and h_post: those that the base has and the columns lack.
 * @param {Columns} known
 * @param {Columns} base
 * @param {Matrix} h_res (layers, n, n)
 */
export function addProducts(known, base, h_res) {
  const cast = castOf(base);
  // Only the server has the draws of several seeds.
  const isNew = (/** @type {string} */ key) =>
    !known.layers.has(key) &&
    !known.matrices.has(key) &&
    !base.bands.has(key) &&
    (base.layers.has(key) || base.matrices.has(key));
  known.matrices.set('h_res', h_res);
  const measured = OF_MATRICES.some(isNew) ? measureMatrices(h_res) : {};
  for (const [key, column] of Object.entries(measured)) {
    if (isNew(key)) putColumn(known, key, column, base.log10.has(key), cast);
  }
  for (const [key, powers] of Object.entries(measureComposites(h_res, isNew))) {
    putPowers(known, key, toValues(powers), base.log10.has(key));
  }
  const [h_pre, h_post] = ['h_pre', 'h_post'].map((key) => known.matrices.get(key));
  if (h_pre && h_post && isNew('unfolded')) putSigned(known, 'unfolded', unfoldConnections(h_pre, h_post, h_res), cast);
}

/** Return the function that rounds to the type of a run. @param {Columns} columns @returns {Cast} */
export const castOf = (columns) => (specOf(columns)?.dtype === 'float64' ? (value) => value : Math.fround);

/** Write a column, cast to the run's type. @param {Columns} known @param {string} key @param {Float64Array | Float64Array[]} column @param {boolean} isLogarithmic @param {Cast} cast */
function putColumn(known, key, column, isLogarithmic, cast) {
  if (Array.isArray(column)) {
    known.layers.set(
      key,
      column.map((row) => row.map(cast)),
    );
    return;
  }
  known.layers.set(key, column.map(cast));
  if (isLogarithmic)
    known.log10.set(
      key,
      column.map((value) => cast(value > 0 ? Math.log10(value) : NaN)),
    );
}

/** Write a column of doubles; values out of range get a status. @param {Columns} known @param {string} key @param {{values: Float64Array, log10: Float64Array}} column @param {boolean} isLogarithmic */
function putPowers(known, key, { values, log10 }, isLogarithmic) {
  /** @type {Map<number, string>} */
  const flags = new Map();
  values.forEach((value, layer) => {
    if (!Number.isFinite(value)) flags.set(layer, 'overflow');
    else if (value === 0 && Number.isFinite(log10[layer])) flags.set(layer, 'underflow');
  });
  known.layers.set(
    key,
    values.map((value, layer) => (flags.has(layer) ? NaN : value)),
  );
  if (isLogarithmic)
    known.log10.set(
      key,
      log10.map((value) => (Number.isFinite(value) ? value : NaN)),
    );
  if (flags.size > 0) known.status.set(key, flags);
}

/** Write a signed matrix; rows out of the range of the run's type get a status. @param {Columns} known @param {string} key @param {Matrix} matrix @param {Cast} cast */
function putSigned(known, key, { shape, data }, cast) {
  const sent = new Float64Array(data.length);
  for (let index = 0; index < sent.length; index++) sent[index] = toFinite(cast(data[index]));
  /** @type {Map<number, string>} */
  const flags = new Map();
  for (let row = 0; row < shape[0]; row++) {
    const [from, to] = [row * shape[1], (row + 1) * shape[1]];
    let [isLost, isZero, wasZero] = [false, true, true];
    for (let index = from; index < to; index++) {
      if (Number.isNaN(sent[index])) isLost = true;
      if (sent[index]) isZero = false;
      if (data[index]) wasZero = false;
    }
    if (isLost) flags.set(row, 'overflow');
    else if (isZero && !wasZero) flags.set(row, 'underflow');
  }
  known.matrices.set(key, { shape, data: sent });
  if (flags.size > 0) known.status.set(key, flags);
}

/** Return a number, or NaN for an infinite one. @param {number} value */
function toFinite(value) {
  return Number.isFinite(value) ? value : NaN;
}
