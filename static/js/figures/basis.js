/** The mixing of one layer in another basis of the streams. Counterpart: `mhc_core/figures/basis.py`. */

import { identity, invertMatrix } from '../data/matrices.js';
import { formatValue, inclusiveRange } from '../data/numbers.js';
import { multiplyAt } from './composites.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('../../types').Matrix} Matrix @typedef {import('../../types').Panel} Panel @typedef {import('../../types').PanelView} PanelView */
/** The bases on the way, row-major: rotations Q and shears C in front of every known layer and after the last, and triangular T of each. @typedef {{turns: Float64Array[], shears: Float64Array[], triangles: Float64Array[]}} Directions */
/** A basis S and its inverse, row-major. @typedef {{basis: Float64Array, inverse: Float64Array}} Basis */

const SINGULAR = 2 ** 52; // condition of a matrix, from which on a double does not know its inverse
const ROUNDING = 2 ** -24; // of float32
const LOST = 0.1; // share of a number that rounding may decide

/** Keys of the panel's views: t in percent. */
const SHARE = /^t(\d{1,2}|100)$/;

/** Caches the views of each panel between its stops. @type {WeakMap<Panel, Map<string, PanelView>>} */
const viewsBetween = new WeakMap();

/** Return t in percent of a view's key; null if it is none. @param {string | undefined} key */
export const percentOf = (key) => (key && SHARE.test(key) ? Number(key.slice(1)) : null);

/** Return whether the views of a panel are stops of a scale, which has views in between. @param {Panel} panel */
export const isContinuous = ({ views }) => views.every(({ key }) => SHARE.test(key));

/** Return the view of a continuous panel between its stops, the same object for the same key; undefined for other panels and keys. @param {Panel} panel @param {string | undefined} key @returns {PanelView | undefined} */
export function viewBetween(panel, key) {
  const percent = percentOf(key);
  if (key === undefined || percent === null || !isContinuous(panel)) return undefined;
  const views = viewsBetween.get(panel) ?? new Map();
  viewsBetween.set(panel, views);
  const view = views.get(key) ?? toViewBetween(panel.views[0], key, percent);
  views.set(key, view);
  return view;
}

/** Build the view of a figure in a basis at a percentage of the way to the fixed basis, from that at 0. @param {PanelView} first @param {string} key @param {number} percent @returns {PanelView} */
function toViewBetween(first, key, percent) {
  const move = (/** @type {string} */ source) => source.replace(/\.0$/, `.${percent}`);
  const data = first.figure.data.map((trace) => ({
    ...trace,
    meta: {
      ...trace.meta,
      fill: Object.fromEntries(Object.entries(trace.meta.fill).map(([name, source]) => [name, move(source)])),
    },
  }));
  return { ...first, key, title: String(percent / 100), figure: { ...first.figure, data } };
}

/** Caches the directions of each stack. @type {WeakMap<Matrix, Directions>} */
const known = new WeakMap();

/**
 * Build the mixing of the cursor's layer as one matrix with n + 1 rows: first row H_pre, first column H_post, the rest H_res.
 * @param {Columns['matrices']} matrices
 * @param {number} percent t in percent: 100 is the basis in which every H_res is the identity
 * @param {number} cursor layer from 0
 * @returns {Float64Array[] | null} null without several copied streams
 */
export function buildBlock(matrices, percent, cursor) {
  const [pre, post, res] = ['h_pre', 'h_post', 'h_res'].map((key) => matrices.get(key));
  if (!pre || !post || !res || res.shape[2] === 1) return null;
  const n = res.shape[2];
  const layer = Math.min(cursor, res.shape[0] - 1);
  const t = percent / 100;
  const directions = findDirections(res);
  const [before, after] = [layer, layer + 1].map((place) => findBasis(directions, place, t, n));
  const clean = (/** @type {Float64Array} */ weights) => (t === 0 ? weights : dropRounding(weights));
  const mixed = clean(mixAt(res, directions, layer, t));
  const read = isKnown(before, n) ? clean(multiplyRow(rowAt(pre, layer, n), before.inverse, n)) : null;
  const write = isKnown(after, n) ? clean(multiplyColumn(after.basis, rowAt(post, layer, n), n)) : null;
  const first = Float64Array.from({ length: n + 1 }, (_, j) => (j > 0 && read ? read[j - 1] : NaN));
  const rest = inclusiveRange(0, n - 1).map((i) =>
    Float64Array.from({ length: n + 1 }, (_, j) => (j > 0 ? mixed[i * n + j - 1] : write ? write[i] : NaN)),
  );
  return [first, ...rest];
}

/** Format the entries of a block. @param {Float64Array[]} block */
export function toBlockTexts(block) {
  return block.map((row) => Array.from(row, (value) => formatValue(Number.isFinite(value) ? value : null)));
}

/** Find the directions of a stack up to the first layer without an inverse. @param {Matrix} res @returns {Directions} */
function findDirections(res) {
  const cached = known.get(res);
  if (cached) return cached;
  const [layers, , n] = res.shape;
  const matrices = inclusiveRange(0, layers - 1).map((layer) => matrixAt(res, layer));
  const missing = matrices.findIndex((matrix) => !invert(matrix, n).every(Number.isFinite));
  const usable = missing < 0 ? matrices : matrices.slice(0, missing);
  const backward = usable.reduceRight((turn, own) => factor(multiply(transpose(own, n), turn, n), n)[0], identity(n));
  const [turns, triangles, shears] = [[backward], /** @type {Float64Array[]} */ ([]), [identity(n)]];
  for (const own of usable) {
    const [turn, triangle] = factor(multiply(own, turns[turns.length - 1], n), n);
    turns.push(turn);
    triangles.push(triangle);
  }
  for (const triangle of triangles.toReversed())
    shears.unshift(
      multiply(
        invert(triangle, n),
        shears[0].map((value, index) => value * triangle[(index % n) * (n + 1)]),
        n,
      ),
    );
  const directions = { turns, shears, triangles };
  // Do not cache layers without numbers: these may still arrive.
  if (matrices.every((matrix) => matrix.every(Number.isFinite))) known.set(res, directions);
  return directions;
}

/** Return how far streams are turned, sheared and scaled, from 0 to 1 each. @param {number} t */
function sharesOf(t) {
  return [2 * t, 4 * t - 2, 4 * t - 3].map((share) => Math.min(Math.max(share, 0), 1));
}

/** Find the basis in front of a layer, as `find_gauge` with `keep_embedding`; NaN where it is not known. @param {Directions} directions @param {number} place @param {number} t @param {number} n @returns {Basis} */
function findBasis({ turns, shears, triangles }, place, t, n) {
  if (t === 0) return { basis: identity(n), inverse: identity(n) };
  if (place > triangles.length) return { basis: identity(n).fill(NaN), inverse: identity(n).fill(NaN) };
  const [turned, sheared, scaled] = sharesOf(t);
  const sizes = new Float64Array(n).fill(1);
  for (const triangle of triangles.slice(0, scaled > 0 ? place : 0))
    for (let i = 0; i < n; i++)
      sizes[i] *= Math.sign(triangle[i * (n + 1)]) * Math.abs(triangle[i * (n + 1)]) ** -scaled;
  const own = toFrame(turns[place], shears[place], turned, sheared, n);
  const basis = own.basis.map((value, index) => value * sizes[Math.floor(index / n)]);
  const inverse = own.inverse.map((value, index) => value / sizes[index % n]);
  if (scaled === 0) return { basis, inverse };
  const first = toFrame(turns[0], shears[0], scaled, scaled, n);
  return { basis: multiply(first.inverse, basis, n), inverse: multiply(inverse, first.basis, n) };
}

/** Return C^-1 Q^T and its inverse Q C, where Q and C are on their way from the identity. @param {Float64Array} turn @param {Float64Array} shear @param {number} turned @param {number} sheared @param {number} n @returns {Basis} */
function toFrame(turn, shear, turned, sheared, n) {
  const [q, c] = [turnBy(turn, turned, n), shearBy(shear, sheared, n)];
  return { basis: multiply(invert(c, n), transpose(q, n), n), inverse: multiply(q, c, n) };
}

/** Return H_res of one layer in the basis at t. @param {Matrix} res @param {Directions} directions @param {number} layer @param {number} t */
function mixAt(res, { turns, shears, triangles }, layer, t) {
  const n = res.shape[2];
  if (t === 0) return matrixAt(res, layer);
  if (t === 1) return identity(n);
  if (layer >= triangles.length) return identity(n).fill(NaN);
  const [turned, sheared, scaled] = sharesOf(t);
  if (turned < 1) {
    const [before, after] = [layer, layer + 1].map((place) => turnBy(turns[place], turned, n));
    return multiply(transpose(after, n), multiply(matrixAt(res, layer), before, n), n);
  }
  const triangle = triangles[layer];
  const above = triangle.map((value, index) => (index % (n + 1) === 0 ? 0 : (1 - sheared) * value));
  const mixed = multiply(invert(shearBy(shears[layer + 1], sheared, n), n), above, n);
  const rate = (/** @type {number} */ index) =>
    scaled === 0 ? triangle[index] : Math.abs(triangle[index]) ** (1 - scaled);
  for (let index = 0; index < n * n; index += n + 1) mixed[index] = rate(index);
  if (scaled === 0) return mixed;
  const first = toFrame(turns[0], shears[0], scaled, scaled, n);
  const unit = identity(n);
  const apart = mixed.map((value, index) => value - unit[index]);
  return multiply(first.inverse, multiply(apart, first.basis, n), n).map((value, index) => value + unit[index]);
}

/** Return a rotation on the way from I, share 0, to Q, share 1: planes of two streams turn by this share of their angles. @param {Float64Array} q @param {number} share @param {number} n */
function turnBy(q, share, n) {
  if (share === 1) return q;
  const [rest, undone] = [q.slice(), identity(n)];
  for (let j = 0; j < n; j++)
    for (let i = j + 1; i < n; i++) {
      const angle = Math.atan2(rest[i * n + j], rest[j * n + j]);
      turnRows(rest, j, i, angle, n);
      turnRows(undone, j, i, share * angle, n);
    }
  return transpose(undone, n);
}

/** Turn two rows of a matrix in their plane, the second towards the first. @param {Float64Array} matrix @param {number} j @param {number} i @param {number} angle @param {number} n */
function turnRows(matrix, j, i, angle, n) {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  for (let k = 0; k < n; k++) {
    const [first, second] = [matrix[j * n + k], matrix[i * n + k]];
    matrix[j * n + k] = cos * first + sin * second;
    matrix[i * n + k] = cos * second - sin * first;
  }
}

/** Return a matrix on the straight line from I, share 0, to C, share 1. @param {Float64Array} c @param {number} share @param {number} n */
function shearBy(c, share, n) {
  const unit = identity(n);
  return c.map((value, index) => unit[index] + share * (value - unit[index]));
}

/** Factor a matrix into a rotation and an upper triangular matrix, by rotations of two rows. Only the last diagonal entry of the second can be negative. @param {Float64Array} matrix @param {number} n */
function factor(matrix, n) {
  const [triangle, undone] = [matrix.slice(), identity(n)];
  for (let j = 0; j < n; j++)
    for (let i = j + 1; i < n; i++) {
      const angle = Math.atan2(triangle[i * n + j], triangle[j * n + j]);
      for (const rows of [triangle, undone]) turnRows(rows, j, i, angle, n);
      triangle[i * n + j] = 0;
    }
  return [transpose(undone, n), triangle];
}

/** Set weights to 0 that are smaller than a rounding of the largest to float32. @param {Float64Array} weights */
function dropRounding(weights) {
  const most = weights.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
  return weights.map((value) => (Math.abs(value) < ROUNDING * most ? 0 : value));
}

/** Return whether a basis enlarges a rounding of float32 to less than 10 %. @param {Basis} basis @param {number} n */
function isKnown({ basis, inverse }, n) {
  return norm(basis) * norm(inverse) * n * ROUNDING < LOST;
}

/** Invert a matrix; NaN if a double does not know the inverse. @param {Float64Array} matrix @param {number} n */
function invert(matrix, n) {
  const inverse = invertMatrix(matrix, n);
  return norm(matrix) * norm(inverse) < SINGULAR ? inverse : inverse.fill(NaN);
}

/** Return the Euclidean norm of a matrix's entries. @param {Float64Array} values */
function norm(values) {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}

/** Return H_res of one layer (n, n). @param {Matrix} res @param {number} layer */
function matrixAt({ shape: [, , n], data }, layer) {
  return Float64Array.from(data.subarray(layer * n * n, (layer + 1) * n * n));
}

/** Transpose a matrix (n, n). @param {Float64Array} matrix @param {number} n */
function transpose(matrix, n) {
  return matrix.map((_, index) => matrix[(index % n) * n + Math.floor(index / n)]);
}

/** Multiply two mixing matrices (n, n). @param {Float64Array} left @param {Float64Array} right @param {number} n */
function multiply(left, right, n) {
  return multiplyAt(left, 0, right, n);
}

/** Multiply a row vector by a matrix (n, n). @param {Float64Array} row @param {Float64Array} matrix @param {number} n */
function multiplyRow(row, matrix, n) {
  return Float64Array.from(row, (_, j) => row.reduce((sum, value, i) => sum + value * matrix[i * n + j], 0));
}

/** Multiply a matrix (n, n) by a column vector. @param {Float64Array} matrix @param {Float64Array} column @param {number} n */
function multiplyColumn(matrix, column, n) {
  return Float64Array.from(column, (_, i) => column.reduce((sum, value, j) => sum + matrix[i * n + j] * value, 0));
}

/** Return one layer of a column with a value per stream. @param {Matrix} matrix @param {number} layer @param {number} n */
function rowAt({ data }, layer, n) {
  return Float64Array.from(data.subarray(layer * n, (layer + 1) * n));
}
