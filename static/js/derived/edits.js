/**
 * Applies edits to coefficients that do not depend on the input. Counterpart: `mhc_core/edits.py`. An edit of a stream that is linear in the
 * streams is a matrix E, multiplied into what reads the streams: H_res E and H_pre E.
 */

import { identity, swapRows } from '../data/matrices.js';

/** @typedef {import('../../types').Edit} Edit @typedef {import('../../types').Matrix} Matrix @typedef {(value: number) => number} Cast */
/** Coefficients of all layers: H_res (L, n, n), H_pre and H_post (L, n); H_pre (L, n, n) where parts of the width are read. @typedef {Record<'h_res' | 'h_pre' | 'h_post', Matrix>} Mixing */

/** Edits of streams that are linear in the streams. */
const LINEAR = ['zero', 'uniform', 'scale', 'swap'];
/** Edits of coefficients that follow from the coefficients alone. Static mixing is its own mean over tokens. */
const KNOWN = ['zero', 'identity', 'mean', 'uniform', 'scale', 'set', 'swap', 'freeze', 'top_k'];
const COEFFICIENTS = /** @type {const} */ (['h_res', 'h_pre', 'h_post']);

/** Return whether the coefficients of an edited run follow from those of the run without edits. @param {readonly Edit[]} edits */
export function areDerivable(edits) {
  return edits.every(({ what, do: act }) => !COEFFICIENTS.some((key) => key === what) || KNOWN.includes(act));
}

/**
 * Return the coefficients of a run after its edits.
 * @param {Mixing} mixing without edits
 * @param {readonly Edit[]} edits
 * @param {Cast} cast rounds to the type of the run
 * @returns {Mixing}
 */
export function applyEdits({ h_res, h_pre, h_post }, edits, cast) {
  const edited = { h_res: copyMatrix(h_res), h_pre: copyMatrix(h_pre), h_post: copyMatrix(h_post) };
  const n = h_res.shape[1];
  for (let layer = 0; layer < h_res.shape[0]; layer++) {
    const own = edits.filter(({ layers: [first, last] }) => first <= layer && layer <= last);
    if (own.length === 0) continue;
    for (const key of COEFFICIENTS) {
      const entries = layerOf(edited[key], layer);
      const base = entries.slice();
      for (const edit of own) if (edit.what === key) editEntries(edit, entries, base, n);
      entries.forEach((value, index) => {
        entries[index] = cast(value);
      });
    }
    const streamMatrix = toMatrix(own, n);
    if (!streamMatrix) continue;
    for (const key of /** @type {const} */ (['h_res', 'h_pre']))
      multiplyInto(layerOf(edited[key], layer), streamMatrix, n, cast);
  }
  return edited;
}

/** Copy a matrix, in float64. @param {Matrix} matrix @returns {Matrix} */
const copyMatrix = ({ shape, data }) => ({ shape: [...shape], data: Float64Array.from(data) });

/** Return the entries of one layer of a matrix column, to be changed in place. @param {Matrix} matrix @param {number} layer */
function layerOf({ shape, data }, layer) {
  const size = data.length / shape[0];
  return /** @type {Float64Array} */ (data.subarray(layer * size, (layer + 1) * size));
}

/** Return E (n, n) of a layer's edits, null without any. An edit that is not linear replaces the whole state: only those after it count. @param {Edit[]} edits @param {number} n */
function toMatrix(edits, n) {
  /** @type {Float64Array | null} */
  let matrix = null;
  for (const edit of edits.filter(({ what }) => what === 'stream' || what === 'state')) {
    if (!LINEAR.includes(edit.do)) {
      matrix = null;
      continue;
    }
    matrix ??= identity(n);
    editRows(edit, matrix, n);
  }
  return matrix;
}

/** Change rows of E by an edit of streams: row i says what stream i becomes. @param {Edit} edit @param {Float64Array} matrix @param {number} n */
function editRows({ do: act, index, other = 0, value = 1 }, matrix, n) {
  const before = matrix.slice();
  const streams = index === undefined ? [...Array(n).keys()] : [index];
  if (act === 'swap') return swapRows(matrix, streams[0], other, n);
  for (const stream of streams) {
    for (let column = 0; column < n; column++) {
      const entry = before[stream * n + column];
      matrix[stream * n + column] = act === 'uniform' ? meanOf(before, column, n) : act === 'scale' ? value * entry : 0;
    }
  }
}

/** Return the mean of a column of a matrix. @param {Float64Array} matrix @param {number} column @param {number} n */
function meanOf(matrix, column, n) {
  let sum = 0;
  for (let row = 0; row < n; row++) sum += matrix[row * n + column];
  return sum / n;
}

/** Multiply rows of n entries by E, in place. @param {Float64Array} entries @param {Float64Array} matrix @param {number} n @param {Cast} cast */
function multiplyInto(entries, matrix, n, cast) {
  const rows = entries.slice();
  entries.forEach((_, index) => {
    const [row, column] = [Math.floor(index / n) * n, index % n];
    let sum = 0;
    for (let k = 0; k < n; k++) sum += rows[row + k] * matrix[k * n + column];
    entries[index] = cast(sum);
  });
}

/** Change the coefficients of a layer in place; a vector has rows of one entry. @param {Edit} edit @param {Float64Array} entries @param {Float64Array} base those without edits @param {number} n */
function editEntries(edit, entries, base, n) {
  const width = entries.length / n;
  const { do: act, index, other = 0, value = 1, values = [], k = n } = edit;
  const partOf = (/** @type {Float64Array} */ all) =>
    index === undefined ? all : all.subarray(index * width, (index + 1) * width);
  const part = partOf(entries);
  if (act === 'swap') swapRows(entries, Number(index), other, width);
  else if (act === 'zero') part.fill(0);
  else if (act === 'identity') part.set(partOf(identity(n)));
  else if (act === 'set') part.set(values);
  else if (act === 'freeze') part.set(partOf(base));
  else if (act === 'uniform') part.fill(part.reduce((sum, entry) => sum + entry, 0) / part.length);
  else if (act === 'scale') part.set(part.map((entry) => value * entry));
  else if (act === 'top_k') keepLargest(part, width > 1 ? width : part.length, k);
}

/** Keep the k largest entries of each row, scaled so that the sum of their sizes stays; of equal ones the first. @param {Float64Array} part @param {number} width @param {number} k */
function keepLargest(part, width, k) {
  for (let start = 0; start < part.length; start += width) {
    const row = part.subarray(start, start + width);
    const sizes = Array.from(row, Math.abs);
    const order = [...sizes.keys()].sort((one, other) => sizes[other] - sizes[one]);
    const kept = order.slice(0, k);
    const sumOf = (/** @type {number[]} */ places) => places.reduce((sum, place) => sum + sizes[place], 0);
    const [whole, left] = [sumOf(order), sumOf(kept)];
    row.forEach((entry, place) => {
      row[place] = kept.includes(place) ? entry * (left > 0 ? whole / left : 1) : 0;
    });
  }
}
