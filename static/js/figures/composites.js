/**
 * Products of the mixing of consecutive layers, as figures show them. Counterpart: `mhc_core/figures/composites.py`.
 * The page computes them from its own matrices, so that dragging the cursor sends no request, and snapshots have them too.
 */

import { formatFixed, formatPower, formatScaled, statusText, UNKNOWN } from '../data/numbers.js';
import { copyFigure } from './dress.js';

/** @typedef {import('../../types').Matrix} Matrix @typedef {import('../../types').Figure} Figure */
/**
 * H_last … H_first = scaled × 2^exponent, row-major, the largest entry of scaled in [1/2, 1); layers from 0. `lost` is the reason why
 * scaled has no number: `nan`, or `unknown` if a matrix was not recorded.
 * @typedef {{first: number, last: number, n: number, scaled: Float64Array, exponent: number, lost: string}} Product
 */

const LARGE_LOG10 = 15; // from here 1 + |w| equals |w| in a double
const UNRESOLVED = 1e-12; // below this share of the largest entry a sum is rounding error
const MIN_SHOWN = 0.005; // rounds to 0.01 with two decimals
const MAX_SHOWN_LOG10 = 4;

/** Caches the last product of each stack, because a figure reads it several times. @type {WeakMap<Matrix, Product>} */
const latest = new WeakMap();

/** Parse a span such as `first-cursor` or `3-17` into its first and last layer, from 0. @param {string} span @param {number} cursor @param {number} layers @returns {[number, number]} */
export function toSpan(span, cursor, layers) {
  /** @type {Record<string, number>} */
  const named = { first: 1, last: layers, cursor: cursor + 1 };
  const [first, last] = span.split('-').map((end) => Math.min(named[end] ?? Number(end), layers) - 1);
  return [first, last];
}

/** Return whether a span begins above the last layer of a run. @param {string} span @param {number} layers */
export function isSpanBeyond(span, layers) {
  return Number.parseInt(span, 10) > layers;
}

/** Multiply a span of matrices (L, n, n); `status` gives, by layer, why a matrix has no numbers. @param {Matrix} stack @param {string} span @param {number} cursor @param {Map<number, string>} [status] @returns {Product} */
export function multiplySpan(stack, span, cursor, status) {
  const [first, last] = toSpan(span, cursor, stack.shape[0]);
  const known = latest.get(stack);
  if (known?.first === first && known.last === last) return known;
  const n = stack.shape[2];
  let [scaled, exponent] = [Float64Array.from({ length: n * n }, (_, index) => Number(index % (n + 1) === 0)), 0];
  for (let layer = first; layer <= last; layer++) {
    scaled = multiplyAt(stack.data, layer * n * n, scaled, n);
    const shift = toShift(scaled);
    scaled = scaled.map((value) => scaleByPowerOfTwo(value, -shift));
    exponent += shift;
  }
  const product = { first, last, n, scaled, exponent, lost: findMissingReason(status, first, last) };
  // Do not cache incomplete products: more layers may arrive.
  if (scaled.every(Number.isFinite)) latest.set(stack, product);
  return product;
}

/** Return why a product over a span has no numbers: `unknown` if all status flags in the span are, else `nan`. @param {Map<number, string> | undefined} status @param {number} first @param {number} last */
function findMissingReason(status, first, last) {
  const flags = [...(status ?? [])].filter(([layer]) => first <= layer && layer <= last).map(([, flag]) => flag);
  return flags.length > 0 && flags.every((flag) => flag === 'unknown') ? 'unknown' : 'nan';
}

/** Multiply the n × n matrix at offset `from` by another. @param {ArrayLike<number>} data @param {number} from @param {ArrayLike<number>} right @param {number} n */
export function multiplyAt(data, from, right, n) {
  const product = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < n; k++) {
      const factor = data[from + i * n + k];
      for (let j = 0; j < n; j++) product[i * n + j] += factor * right[k * n + j];
    }
  }
  return product;
}

/** Return the largest magnitude among values; NaN if one is NaN. @param {Float64Array} values */
export function largestSize(values) {
  let most = 0; // by a loop, because a move of a slider computes some hundred products
  for (let index = 0; index < values.length; index++) most = Math.max(most, Math.abs(values[index]));
  return most;
}

/** Return the power of two that scales the largest entry of a product into [1/2, 1). Scaling by powers of two is exact. @param {Float64Array} values */
export function toShift(values) {
  const most = largestSize(values);
  if (most === 0 || !Number.isFinite(most)) return 0;
  const shift = Math.floor(Math.log2(most)) + 1;
  const scaled = scaleByPowerOfTwo(most, -shift); // log2 rounds
  return scaled >= 1 ? shift + 1 : scaled < 0.5 ? shift - 1 : shift;
}

/** Multiply a number by 2^exponent, in two steps because 2^1074 overflows. @param {number} value @param {number} power */
export function scaleByPowerOfTwo(value, power) {
  const half = Math.trunc(power / 2);
  return value * 2 ** half * 2 ** (power - half);
}

/** Add up the rows of a product, in its scaled entries; sums below the rounding error become 0. @param {Product} product @returns {Float64Array} scaled; rounding errors become 0 */
export function rowSums({ n, scaled }) {
  return Float64Array.from({ length: n }, (_, i) =>
    clearRounding(scaled.subarray(i * n, (i + 1) * n).reduce((sum, value) => sum + value, 0)),
  );
}

/** Add up the columns of a product, in its scaled entries; sums below the rounding error become 0. @param {Product} product @returns {Float64Array} scaled; rounding errors become 0 */
export function columnSums({ n, scaled }) {
  return Float64Array.from({ length: n }, (_, j) => {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += scaled[i * n + j];
    return clearRounding(sum);
  });
}

/** Replace a rounding error by 0. @param {number} sum */
function clearRounding(sum) {
  return Math.abs(sum) < UNRESOLVED ? 0 : sum;
}

/** Compute log10 of a magnitude, -∞ for 0. @param {number} scaled @param {number} exponent */
export function toLog10(scaled, exponent) {
  return Math.log10(Math.abs(scaled)) + exponent * Math.log10(2);
}

/** Return the entries of a matrix product as rows, each entry converted by a function. @template T @param {Product} product @param {(scaled: number) => T} map @returns {T[][]} */
function mapRows({ n, scaled }, map) {
  return Array.from({ length: n }, (_, i) => Array.from(scaled.subarray(i * n, (i + 1) * n), map));
}

/** Convert entries w to sign(w) log10(1 + |w|), also outside the range of a double. @param {Product} product */
export function toSignedLogs(product) {
  return mapRows(product, (scaled) => {
    const log10 = toLog10(scaled, product.exponent);
    const size = log10 < LARGE_LOG10 ? Math.log1p(10 ** log10) / Math.LN10 : log10;
    return Math.sign(scaled) * size;
  }).map((row) => Float64Array.from(row));
}

/** Choose the power of ten in which a product is shown; 0 if two decimals are enough. @param {Product} product */
function toPower({ scaled, exponent }) {
  const largest = largestSize(scaled);
  if (!Number.isFinite(largest) || largest === 0) return 0;
  const log10 = toLog10(largest, exponent);
  return Math.log10(MIN_SHOWN) <= log10 && log10 < MAX_SHOWN_LOG10 ? 0 : Math.floor(log10);
}

/** Format entries in the product's power of ten. @param {Product} product */
export function toCellTexts(product) {
  const power = toPower(product);
  return mapRows(product, (scaled) => formatInPower(scaled, product, power));
}

/** Format sums in the product's power of ten. @param {Product} product @param {Float64Array} sums scaled */
export function toSumTexts(product, sums) {
  const power = toPower(product);
  return Array.from(sums, (scaled) => formatInPower(scaled, product, power));
}

/** Format one number of a product in a power of ten. @param {number} scaled @param {Product} product @param {number} power */
function formatInPower(scaled, { exponent, lost }, power) {
  if (!Number.isFinite(scaled)) return lost === 'unknown' ? UNKNOWN : lost; // a cell has no room for words
  if (Math.abs(scaled) < UNRESOLVED) return formatFixed(0, 2);
  const size = 10 ** (toLog10(scaled, exponent) - power);
  return formatFixed(Math.sign(scaled) * size, size < 10 ? 2 : size < 100 ? 1 : 0);
}

/** Append the power of ten in which a product is shown to its run's label. @param {Product} product @param {string} label */
export function toLabel(product, label) {
  const power = toPower(product);
  return power === 0 ? label : `${label} ${formatPower(power)}`;
}

/** Format the Amax gains, forward and backward: the largest |row sum| and |column sum|. @param {Product} product @returns {[string, string]} */
export function toGains(product) {
  const toGain = (/** @type {Float64Array} */ sums) =>
    sums.every(Number.isFinite) ? formatScaled(largestSize(sums), product.exponent) : statusText(product.lost);
  return [toGain(rowSums(product)), toGain(columnSums(product))];
}

/** Format the gains of a product for the line below its matrix. @param {Product} product */
export function toTitle(product) {
  const [forward, backward] = toGains(product);
  return `gain → ${forward}<br>gain ← ${backward}`;
}

/** Return a copy of a template that shows and multiplies an interval of layers, from 0. @param {Figure} template @param {{first: number, last: number}} interval @returns {Figure} */
export function withInterval(template, { first, last }) {
  const figure = copyFigure(template);
  figure.layout.meta.interval = [first, last];
  for (const { meta } of figure.data) {
    for (const [attribute, source] of Object.entries(meta.fill)) {
      if (source.startsWith('product'))
        meta.fill[attribute] = source.replace('.first-', `.${first + 1}-`).replace('-last.', `-${last + 1}.`);
    }
  }
  return figure;
}
