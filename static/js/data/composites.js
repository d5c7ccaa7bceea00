/**
 * Products of the mixing of neighbouring layers, as figures show them. `mhc_core/figures/fill/composites.py` says the same.
 * They are made here from the matrices that the page has: a cursor that is dragged asks no server, and a stored view has them too.
 */

import { formatFixed, formatPower, formatScaled, statusText, UNKNOWN } from './numbers.js';

/** @typedef {import('../../types').Matrix} Matrix @typedef {import('../../types').Figure} Figure */
/**
 * H_last … H_first = scaled × 2^exponent, row-major, the largest entry of scaled in [1/2, 1); layers from 0. `lost` says why there is no
 * number where scaled has none: `nan`, or `unknown` where a matrix was not heard.
 * @typedef {{first: number, last: number, n: number, scaled: Float64Array, exponent: number, lost: string}} Product
 */

const LARGE_LOG10 = 15; // from here on 1 + |w| is |w| in a double
const UNRESOLVED = 1e-12; // below this share of the largest entry a sum is what rounding left of it
const MIN_SHOWN = 0.005; // 0.01 in two digits
const MAX_SHOWN_LOG10 = 4;

/** The last product of each stack: a figure asks for it several times. @type {WeakMap<Matrix, Product>} */
const latest = new WeakMap();

/** First and last layer of a span such as `first-cursor` or `3-17`, from 0. @param {string} span @param {number} cursor @param {number} layers @returns {[number, number]} */
export function toSpan(span, cursor, layers) {
  /** @type {Record<string, number>} */
  const named = { first: 1, last: layers, cursor: cursor + 1 };
  const [first, last] = span.split('-').map((end) => Math.min(named[end] ?? Number(end), layers) - 1);
  return [first, last];
}

/** Whether a span of chosen layers begins above a run of that many. @param {string} span @param {number} layers */
export function liesBeyond(span, layers) {
  return Number.parseInt(span, 10) > layers;
}

/** The product of a span of matrices (L, n, n), with the status of those that have no number, by layer. @param {Matrix} stack @param {string} span @param {number} cursor @param {Map<number, string>} [status] @returns {Product} */
export function multiply(stack, span, cursor, status) {
  const [first, last] = toSpan(span, cursor, stack.shape[0]);
  const known = latest.get(stack);
  if (known?.first === first && known.last === last) return known;
  const n = stack.shape[2];
  let [scaled, exponent] = [Float64Array.from({ length: n * n }, (_, index) => Number(index % (n + 1) === 0)), 0];
  for (let layer = first; layer <= last; layer++) {
    scaled = timesFrom(stack.data, layer * n * n, scaled, n);
    const shift = toShift(scaled);
    scaled = scaled.map((value) => scaleBy(value, -shift));
    exponent += shift;
  }
  const product = { first, last, n, scaled, exponent, lost: findLoss(status, first, last) };
  // Of a stack whose layers are still coming in there is a better one to be had.
  if (scaled.every(Number.isFinite)) latest.set(stack, product);
  return product;
}

/** @param {Map<number, string> | undefined} status @param {number} first @param {number} last */
function findLoss(status, first, last) {
  const flags = [...(status ?? [])].filter(([layer]) => first <= layer && layer <= last).map(([, flag]) => flag);
  return flags.length > 0 && flags.every((flag) => flag === 'unknown') ? 'unknown' : 'nan';
}

/** A matrix that begins at `from`, times another. @param {ArrayLike<number>} data @param {number} from @param {ArrayLike<number>} right @param {number} n */
export function timesFrom(data, from, right, n) {
  const product = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < n; k++) {
      const factor = data[from + i * n + k];
      for (let j = 0; j < n; j++) product[i * n + j] += factor * right[k * n + j];
    }
  }
  return product;
}

/** The power of two that brings the largest entry into [1/2, 1); powers of two round nothing. @param {Float64Array} values */
export function toShift(values) {
  const most = values.reduce((size, value) => Math.max(size, Math.abs(value)), 0);
  if (most === 0 || !Number.isFinite(most)) return 0;
  const shift = Math.floor(Math.log2(most)) + 1;
  const scaled = scaleBy(most, -shift); // log2 rounds
  return scaled >= 1 ? shift + 1 : scaled < 0.5 ? shift - 1 : shift;
}

/** In two steps: 2^1074 alone is no double. @param {number} value @param {number} power */
export function scaleBy(value, power) {
  const half = Math.trunc(power / 2);
  return value * 2 ** half * 2 ** (power - half);
}

/** @param {Product} product @returns {Float64Array} scaled, with 0 for what rounding left */
export function rowSums({ n, scaled }) {
  return Float64Array.from({ length: n }, (_, i) =>
    resolve(scaled.subarray(i * n, (i + 1) * n).reduce((sum, value) => sum + value, 0)),
  );
}

/** @param {Product} product @returns {Float64Array} scaled, with 0 for what rounding left */
export function colSums({ n, scaled }) {
  return Float64Array.from({ length: n }, (_, j) => {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += scaled[i * n + j];
    return resolve(sum);
  });
}

/** @param {number} sum */
function resolve(sum) {
  return Math.abs(sum) < UNRESOLVED ? 0 : sum;
}

/** log10 of a magnitude, -∞ for 0. @param {number} scaled @param {number} exponent */
export function toLog10(scaled, exponent) {
  return Math.log10(Math.abs(scaled)) + exponent * Math.log10(2);
}

/** @template T @param {Product} product @param {(scaled: number) => T} map @returns {T[][]} */
function mapRows({ n, scaled }, map) {
  return Array.from({ length: n }, (_, i) => Array.from(scaled.subarray(i * n, (i + 1) * n), map));
}

/** Entries w as sign(w) log10(1 + |w|), beyond the range of a double as well. @param {Product} product */
export function toSignedLogs(product) {
  return mapRows(product, (scaled) => {
    const log10 = toLog10(scaled, product.exponent);
    const size = log10 < LARGE_LOG10 ? Math.log1p(10 ** log10) / Math.LN10 : log10;
    return Math.sign(scaled) * size;
  }).map((row) => Float64Array.from(row));
}

/** The power of ten that a product's numbers are shown in: 0 where two digits tell them as they are. @param {Product} product */
function toPower({ scaled, exponent }) {
  const largest = scaled.reduce((size, value) => Math.max(size, Math.abs(value)), 0);
  if (!Number.isFinite(largest) || largest === 0) return 0;
  const log10 = toLog10(largest, exponent);
  return Math.log10(MIN_SHOWN) <= log10 && log10 < MAX_SHOWN_LOG10 ? 0 : Math.floor(log10);
}

/** Entries as people read them, in the product's power of ten. @param {Product} product */
export function toCellTexts(product) {
  const power = toPower(product);
  return mapRows(product, (scaled) => toText(scaled, product, power));
}

/** Sums as people read them, in the product's power of ten. @param {Product} product @param {Float64Array} sums scaled */
export function toSumTexts(product, sums) {
  const power = toPower(product);
  return Array.from(sums, (scaled) => toText(scaled, product, power));
}

/** @param {number} scaled @param {Product} product @param {number} power */
function toText(scaled, { exponent, lost }, power) {
  if (!Number.isFinite(scaled)) return lost === 'unknown' ? UNKNOWN : lost; // in a cell there is no room for words
  if (Math.abs(scaled) < UNRESOLVED) return formatFixed(0, 2);
  const size = 10 ** (toLog10(scaled, exponent) - power);
  return formatFixed(Math.sign(scaled) * size, size < 10 ? 2 : size < 100 ? 1 : 0);
}

/** A run's label with the power of ten of all its numbers. @param {Product} product @param {string} label */
export function toLabel(product, label) {
  const power = toPower(product);
  return power === 0 ? label : `${label} ${formatPower(power)}`;
}

/** The Amax gains, forward and backward: the largest |row sum| and |column sum|. @param {Product} product @returns {[string, string]} */
export function toGains(product) {
  const most = (/** @type {Float64Array} */ sums) => sums.reduce((size, value) => Math.max(size, Math.abs(value)), 0);
  const toGain = (/** @type {Float64Array} */ sums) =>
    sums.every(Number.isFinite) ? formatScaled(most(sums), product.exponent) : statusText(product.lost);
  return [toGain(rowSums(product)), toGain(colSums(product))];
}

/** What stands below a product. @param {Product} product */
export function toTitle(product) {
  const [forward, backward] = toGains(product);
  return `gain → ${forward}<br>gain ← ${backward}`;
}

/** A template that shows and multiplies these layers, from 0; without a choice it is all of them. @param {Figure} template @param {{first: number, last: number}} interval @returns {Figure} */
export function withInterval(template, { first, last }) {
  const figure = structuredClone(template);
  figure.layout.meta.interval = [first, last];
  for (const { meta } of figure.data) {
    for (const [attribute, source] of Object.entries(meta.fill)) {
      if (source.startsWith('product'))
        meta.fill[attribute] = source.replace('.first-', `.${first + 1}-`).replace('-last.', `-${last + 1}.`);
    }
  }
  return figure;
}
