/**
 * Computes metrics of mixing matrices: of each matrix, and of their products over depth. Counterparts: `mhc_core/metrics/mixing.py` and
 * `mhc_core/metrics/paths.py`.
 */

import { identity } from '../data/matrices.js';
import { largestSize, multiplyAt, scaleByPowerOfTwo, toLog10, toShift } from '../figures/composites.js';

/** @typedef {import('../../types').Matrix} Matrix */
/** Entries (n, n) times 2^exponent. @typedef {{scaled: Float64Array, exponent: number}} Scaled */
/** One number per layer, as scaled times 2^exponent. @typedef {{scaled: number, exponent: number}[]} Powers */

/** Vectors beyond this magnitude, or below its inverse, are rescaled to prevent overflow. */
const LARGE = 2 ** 300;

/** Metrics computed by `measureMatrices`. */
export const OF_MATRICES = ['h_res_row_sum', 'h_res_col_sum', 'h_res_min', 'ds_error', 'gain_fwd', 'gain_bwd'];

/** Compute row sums, column sums and derived metrics of each matrix: one number or n numbers per layer. @param {Matrix} h_res */
export function measureMatrices({ shape: [layers, n], data }) {
  const sums = Array.from({ length: layers }, (_, layer) =>
    sumsOf(data.subarray(layer * n * n, (layer + 1) * n * n), n),
  );
  const least = sums.map((_, layer) => Math.min(...data.subarray(layer * n * n, (layer + 1) * n * n)));
  const far = (/** @type {Float64Array} */ part) => part.reduce((most, sum) => Math.max(most, Math.abs(sum - 1)), 0);
  return {
    h_res_row_sum: sums.map(({ rows }) => rows),
    h_res_col_sum: sums.map(({ columns }) => columns),
    h_res_min: Float64Array.from(least),
    ds_error: Float64Array.from(sums, ({ rows, columns }, layer) =>
      Math.max(far(rows), far(columns), -least[layer], 0),
    ),
    gain_fwd: Float64Array.from(sums, ({ rows }) => largestSize(rows)),
    gain_bwd: Float64Array.from(sums, ({ columns }) => largestSize(columns)),
  };
}

/**
 * Compute gains of products over depth, by metric: forward over layers 1 to l, backward over layers l to L.
 * @param {Matrix} h_res
 * @param {(key: string) => boolean} [isWanted] selects metrics, default all: while the depth is dragged, half of them are known
 * @returns {Record<string, Powers>}
 */
export function measureComposites(h_res, isWanted = () => true) {
  const found = [
    ...(UP.some(isWanted) ? measureUp(h_res) : []),
    ...(DOWN.some(isWanted) ? measureBackwardProducts(h_res) : []),
  ];
  return Object.fromEntries(found.filter(([key]) => isWanted(key)));
}

const UP = ['composite_gain_fwd', 'composite_norm_inf'];
const DOWN = ['composite_gain_bwd', 'composite_norm_1', 'composite_min_col_sum'];

/** Compute metrics of the products over layers 1 to l. @param {Matrix} h_res @returns {[string, Powers][]} */
function measureUp({ shape: [layers, n], data }) {
  const products = accumulateProducts(layers, n, (layer, product) => multiplyAt(data, layer * n * n, product, n));
  return [
    ['composite_gain_fwd', measureProducts(products, (scaled) => largestSum(scaled, n, n, 1, false))],
    ['composite_norm_inf', measureProducts(products, (scaled) => largestSum(scaled, n, n, 1, true))],
  ];
}

/** Compute metrics of the products of H_res over layers l to L, for each l: what a gradient passes on its way back. @param {Matrix} h_res @returns {[string, Powers][]} */
function measureBackwardProducts({ shape: [layers, n], data }) {
  const products = accumulateProducts(layers, n, (layer, product) => {
    const factor = data.subarray((layers - 1 - layer) * n * n, (layers - layer) * n * n);
    return multiplyAt(product, 0, factor, n);
  }).reverse();
  return [
    ['composite_gain_bwd', measureProducts(products, (scaled) => largestSum(scaled, n, 1, n, false))],
    ['composite_norm_1', measureProducts(products, (scaled) => largestSum(scaled, n, 1, n, true))],
    ['composite_min_col_sum', measureProducts(products, (scaled) => Math.min(...sumsOf(scaled, n).columns))],
  ];
}

/** Compute one number from each product of mixing matrices. @param {Scaled[]} products @param {(scaled: Float64Array) => number} read @returns {Powers} */
function measureProducts(products, read) {
  return products.map(({ scaled, exponent }) => ({ scaled: read(scaled), exponent }));
}

/**
 * Return the largest magnitude of a sum over a line, without a list of all: a drag computes some hundred products in a frame. Lines are rows
 * for strides (n, 1), and columns for (1, n).
 * @param {Float64Array} matrix (n, n)
 * @param {number} n
 * @param {number} line stride from one line to the next
 * @param {number} step stride along a line
 * @param {boolean} ofMagnitudes adds up magnitudes
 */
function largestSum(matrix, n, line, step, ofMagnitudes) {
  let most = 0;
  for (let i = 0; i < n; i++) {
    let sum = 0;
    for (let j = 0; j < n; j++) {
      const entry = matrix[i * line + j * step];
      sum += ofMagnitudes ? Math.abs(entry) : entry;
    }
    most = Math.max(most, Math.abs(sum));
  }
  return most;
}

/** Accumulate the product up to each layer, rescaled by powers of two, which is exact. @param {number} layers @param {number} n @param {(layer: number, product: Float64Array) => Float64Array} grow @returns {Scaled[]} */
function accumulateProducts(layers, n, grow) {
  /** @type {Float64Array} */
  let scaled = identity(n);
  let exponent = 0;
  return Array.from({ length: layers }, (_, layer) => {
    const product = grow(layer, scaled);
    const shift = toShift(product);
    scaleInPlace(product, -shift);
    scaled = product;
    exponent += shift;
    return { scaled, exponent };
  });
}

/** Multiply numbers by 2^power, as `scaleByPowerOfTwo` does. @param {Float64Array} values in place @param {number} power */
function scaleInPlace(values, power) {
  if (power === 0) return;
  const half = Math.trunc(power / 2);
  const [first, second] = [2 ** half, 2 ** (power - half)];
  for (let index = 0; index < values.length; index++) values[index] = values[index] * first * second;
}

/** Compute row and column sums of a product of mixing matrices. @param {ArrayLike<number>} matrix (n, n) @param {number} n */
function sumsOf(matrix, n) {
  const [rows, columns] = [new Float64Array(n), new Float64Array(n)];
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      rows[i] += matrix[i * n + j];
      columns[j] += matrix[i * n + j];
    }
  }
  return { rows, columns };
}

/** Convert scaled values and powers of two to numbers (infinite or 0 outside the range of a double) and their log10. @param {Powers} powers */
export function toValues(powers) {
  return {
    values: Float64Array.from(powers, ({ scaled, exponent }) => scaleByPowerOfTwo(scaled, exponent)),
    log10: Float64Array.from(powers, ({ scaled, exponent }) => toLog10(scaled, exponent)),
  };
}

/**
 * Compute effective skip connections, (L, L + 1): row k is the reading layer, column 0 the embedding, column j the output of layer j from 1.
 * @param {Matrix} h_pre (L, n)
 * @param {Matrix} h_post (L, n)
 * @param {Matrix} h_res (L, n, n)
 * @returns {Matrix}
 */
export function unfoldConnections(h_pre, h_post, h_res) {
  const [layers, n] = h_pre.shape;
  const [width, data] = [layers + 1, new Float64Array(layers * (layers + 1))];
  /** Contribution of each source to the streams: n entries, times 2^exponents. */
  const travelling = new Float64Array(layers * n);
  const exponents = new Int32Array(layers);
  const passed = new Float64Array(n);
  for (let layer = 0; layer < layers; layer++) {
    // The embedding is copied to all streams.
    for (let i = 0; i < n; i++) travelling[layer * n + i] = layer === 0 ? 1 : h_post.data[(layer - 1) * n + i];
    for (let source = 0; source <= layer; source++) {
      const weight = dotProduct(h_pre.data, layer * n, travelling, source * n, n);
      data[layer * width + source] = exponents[source] === 0 ? weight : scaleByPowerOfTwo(weight, exponents[source]);
      passLayer(h_res.data, layer * n * n, travelling, source * n, passed, n);
      exponents[source] += keepInRange(travelling, source * n, n);
    }
  }
  return { shape: [layers, width], data };
}

/** Compute a dot product of n entries. @param {ArrayLike<number>} left @param {number} from @param {Float64Array} right @param {number} start @param {number} n */
function dotProduct(left, from, right, start, n) {
  let sum = 0;
  for (let k = 0; k < n; k++) sum += left[from + k] * right[start + k];
  return sum;
}

/** Multiply the contribution of one source by a layer's mixing, in place. @param {ArrayLike<number>} h_res @param {number} from @param {Float64Array} vector @param {number} start @param {Float64Array} passed @param {number} n */
function passLayer(h_res, from, vector, start, passed, n) {
  for (let i = 0; i < n; i++) passed[i] = dotProduct(h_res, from + i * n, vector, start, n);
  vector.set(passed, start);
}

/** Rescale a vector that is about to overflow or underflow; return the exponent that was taken out, else 0. @param {Float64Array} vector @param {number} start @param {number} n */
function keepInRange(vector, start, n) {
  let most = 0;
  for (let k = start; k < start + n; k++) most = Math.max(most, Math.abs(vector[k]));
  if (most === 0 || (most < LARGE && most > 1 / LARGE)) return 0;
  const part = vector.subarray(start, start + n);
  const shift = toShift(part);
  part.forEach((value, k) => {
    part[k] = scaleByPowerOfTwo(value, -shift);
  });
  return shift;
}
