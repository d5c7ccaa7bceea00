/** The mixing of one layer in another basis of the streams. Counterpart: `mhc_core/figures/basis.py`. */

import { formatValue, inclusiveRange } from '../data/numbers.js';
import { multiplyAt } from './composites.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('../../types').Matrix} Matrix @typedef {import('../../types').Panel} Panel @typedef {import('../../types').PanelView} PanelView */
/** A basis S in front of every layer, and its inverse, row-major. @typedef {{basis: Float64Array[], inverse: Float64Array[]}} Gauge */

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

/** Caches the gauges of each stack by t. @type {WeakMap<Matrix, Map<number, Gauge>>} */
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
  const gauge = findGauge(res, t, layer);
  const mixed = mixAt(res, layer, t);
  const read = isKnown(gauge, layer, n) ? multiplyRow(rowAt(pre, layer, n), gauge.inverse[layer], n) : null;
  const write = isKnown(gauge, layer + 1, n) ? multiplyColumn(gauge.basis[layer + 1], rowAt(post, layer, n), n) : null;
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

/** Find the basis in front of each layer up to the one after `layer`. @param {Matrix} res @param {number} t @param {number} layer @returns {Gauge} */
function findGauge(res, t, layer) {
  const n = res.shape[2];
  const byT = known.get(res) ?? new Map();
  known.set(res, byT);
  const gauge = byT.get(t) ?? { basis: [identity(n)], inverse: [identity(n)] };
  const found = { basis: [...gauge.basis], inverse: [...gauge.inverse] };
  for (let place = found.basis.length - 1; place <= layer; place++) {
    const own = Float64Array.from(res.data.subarray(place * n * n, (place + 1) * n * n));
    const mixed = mixAt(res, place, t);
    found.basis.push(t === 0 ? identity(n) : multiply(mixed, multiply(found.basis[place], invert(own, n), n), n));
    found.inverse.push(t === 0 ? identity(n) : multiply(own, multiply(found.inverse[place], invert(mixed, n), n), n));
  }
  // Do not cache layers without numbers: these may still arrive.
  const last = found.basis.findIndex((basis, place) => ![...basis, ...found.inverse[place]].every(Number.isFinite));
  const kept = last < 0 ? found.basis.length : last;
  byT.set(t, { basis: found.basis.slice(0, kept), inverse: found.inverse.slice(0, kept) });
  return found;
}

/** Return (H + t I) (I + t H)^-1 of one layer, as I + (1 - t) (H - I) (I + t H)^-1; the identity at t = 1. @param {Matrix} res @param {number} layer @param {number} t */
function mixAt({ shape: [, , n], data }, layer, t) {
  const own = Float64Array.from(data.subarray(layer * n * n, (layer + 1) * n * n));
  if (t === 0) return own;
  const unit = identity(n);
  if (t === 1) return unit;
  const apart = own.map((value, index) => (1 - t) * (value - unit[index]));
  const below = own.map((value, index) => unit[index] + t * value);
  return multiply(apart, invert(below, n), n).map((value, index) => unit[index] + value);
}

/** Return whether a basis enlarges a rounding of float32 to less than 10 %. @param {Gauge} gauge @param {number} place @param {number} n */
function isKnown({ basis, inverse }, place, n) {
  return norm(basis[place]) * norm(inverse[place]) * n * ROUNDING < LOST;
}

/** Invert a matrix by elimination with pivots; NaN if a double does not know the inverse. @param {Float64Array} matrix @param {number} n */
function invert(matrix, n) {
  const rows = inclusiveRange(0, n - 1).map((i) =>
    Float64Array.from({ length: 2 * n }, (_, j) => (j < n ? matrix[i * n + j] : Number(j - n === i))),
  );
  for (let k = 0; k < n; k++) {
    const size = (/** @type {number} */ i) => Math.abs(rows[i][k]);
    const pivot = inclusiveRange(k, n - 1).reduce((best, i) => (size(i) > size(best) ? i : best), k);
    [rows[k], rows[pivot]] = [rows[pivot], rows[k]];
    const divided = rows[k].map((value) => value / rows[k][k]);
    for (let i = 0; i < n; i++) {
      const factor = rows[i][k];
      rows[i] = i === k ? divided : rows[i].map((value, j) => value - factor * divided[j]);
    }
  }
  const inverse = Float64Array.from({ length: n * n }, (_, index) => rows[Math.floor(index / n)][n + (index % n)]);
  return norm(matrix) * norm(inverse) < SINGULAR ? inverse : inverse.fill(NaN);
}

/** Return the Euclidean norm of a matrix's entries. @param {Float64Array} values */
function norm(values) {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}

/** Return the identity matrix (n, n), row by row. @param {number} n */
function identity(n) {
  return Float64Array.from({ length: n * n }, (_, index) => Number(index % (n + 1) === 0));
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
