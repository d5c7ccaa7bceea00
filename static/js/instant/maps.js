/** Maps raw parameters of one layer to its residual mixing matrix, like `mhc_core/families`. Rows are outputs. */

import { invertMatrix } from '../data/matrices.js';
import { sinkhorn } from './sinkhorn.js';

/** `layers`: depth of the stack. @typedef {{n: number, layers: number, rounds: number, eps: number, round: Round}} MapSettings */
/** @typedef {import('./sinkhorn.js').Round} Round */
/** @typedef {(raw: Float64Array, settings: MapSettings) => Float64Array} ResidualMap */

/** Formulas by the names that the server sends; a connection names at most one. @type {Record<string, ResidualMap>} */
export const MAPS = {
  transpose,
  sinkhorn: (raw, settings) => sinkhorn(raw, settings.n, settings),
  permutations: mixPermutations,
  kronecker: multiplyKronecker,
  orthostochastic: squareOrthogonal,
  block_energy: sumBlockEnergy,
  transport: fillTransport,
  circulant: addShifts,
  row_softmax: softmaxRows,
  cayley: transformSkew,
  iterated_cayley: iterateCayley,
  quaternions: rotateByQuaternions,
  spectral: scaleDifferences,
};

/** Transpose square matrices: in HC's A_r and Frac's A, rows are inputs. @type {ResidualMap} */
function transpose(raw, { n }) {
  const matrix = new Float64Array(raw.length);
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) matrix[i * n + j] = raw[j * n + i];
  return matrix;
}

/** Compute H_res as the average of all permutations, with weights softmax(t). @type {ResidualMap} */
function mixPermutations(raw, { n, round }) {
  const weights = softmax(raw, round);
  const matrix = new Float64Array(n * n);
  listPermutations(n).forEach((permutation, k) => {
    permutation.forEach((column, row) => {
      matrix[row * n + column] += weights[k];
    });
  });
  return matrix.map(round);
}

/** Return exp(t) divided by its sum, for a row of logits. @param {Float64Array} raw @param {Round} round */
function softmax(raw, round) {
  const most = raw.reduce((largest, value) => Math.max(largest, value), -Infinity);
  const sizes = raw.map((value) => round(Math.exp(round(value - most))));
  const total = round(sizes.reduce((sum, value) => sum + value, 0));
  return sizes.map((size) => round(size / total));
}

/** Caches permutations by n. @type {Map<number, number[][]>} */
const permutations = new Map();

/** List permutations in lexicographic order, the identity first. @param {number} n @returns {number[][]} */
function listPermutations(n) {
  const known = permutations.get(n);
  if (known) return known;
  /** List the permutations of the remaining items. @param {number[]} left @returns {number[][]} */
  const extend = (left) =>
    left.length === 0
      ? [[]]
      : left.flatMap((first) => extend(left.filter((item) => item !== first)).map((rest) => [first, ...rest]));
  const found = extend([...new Array(n).keys()]);
  permutations.set(n, found);
  return found;
}

/** Multiply (Kronecker) the matrices [[p, 1 - p], [1 - p, p]] with p = sigmoid(t), one per logit. @type {ResidualMap} */
function multiplyKronecker(raw, { round }) {
  let [matrix, size] = [Float64Array.of(1), 1];
  for (const logit of raw) {
    const [same, other] = [sigmoid(logit, round), sigmoid(-logit, round)];
    const next = new Float64Array(4 * size * size);
    for (let row = 0; row < 2 * size; row++) {
      for (let column = 0; column < 2 * size; column++) {
        const outer = matrix[(row >> 1) * size + (column >> 1)];
        next[row * 2 * size + column] = round(outer * ((row & 1) === (column & 1) ? same : other));
      }
    }
    [matrix, size] = [next, 2 * size];
  }
  return matrix;
}

/** Return 1 / (1 + exp(-t)). @param {number} value @param {Round} round */
function sigmoid(value, round) {
  return round(1 / round(1 + round(Math.exp(-value))));
}

/** Square the entries of the Cayley transform, in doubles like Python. @type {ResidualMap} */
function squareOrthogonal(raw, { n, round }) {
  return applyCayley(toSkew(raw, n), n).map((value) => round(value ** 2));
}

/** Compute the Cayley transform of A = T - T^t, in doubles like Python. @type {ResidualMap} */
function transformSkew(raw, { n, round }) {
  return applyCayley(toSkew(raw, n), n).map(round);
}

/** Compute (I + A)^-1 (I - A) = 2 (I + A)^-1 - I of a skew-symmetric matrix. @param {Float64Array} skew @param {number} n */
function applyCayley(skew, n) {
  const inverse = invertMatrix(
    skew.map((value, index) => value + (index % (n + 1) === 0 ? 1 : 0)),
    n,
  );
  return inverse.map((value, index) => 2 * value - (index % (n + 1) === 0 ? 1 : 0));
}

/** Return the skew-symmetric matrix A = T - T^t of logits. @param {Float64Array} raw (n, n) @param {number} n */
function toSkew(raw, n) {
  return raw.map((value, index) => value - raw[(index % n) * n + Math.floor(index / n)]);
}

/** Compute I + t + t^2 / 2 + t^3 / 4 with t = 0.1 (T - T^t), in doubles like Python. @type {ResidualMap} */
function iterateCayley(raw, { n, round }) {
  const step = toSkew(raw, n).map((value) => 0.1 * value);
  const square = multiplyMatrices(step, step, n, n, n);
  const cube = multiplyMatrices(square, step, n, n, n);
  return step.map((value, index) =>
    round((index % (n + 1) === 0 ? 1 : 0) + value + square[index] / 2 + cube[index] / 4),
  );
}

/** Compute x -> p x conj(q) of two quaternions, four logits each, divided by their norms. @type {ResidualMap} */
function rotateByQuaternions(raw, { round }) {
  const [p, q] = [raw.subarray(0, 4), raw.subarray(4, 8)].map((part) =>
    part.map((value) => value / Math.hypot(...part)),
  );
  const conjugate = q.map((value, index) => (index ? -value : value));
  const matrix = new Float64Array(16);
  for (let column = 0; column < 4; column++) {
    const unit = Float64Array.from([0, 1, 2, 3], (place) => Number(place === column));
    multiplyQuaternions(multiplyQuaternions(p, unit), conjugate).forEach((value, row) => {
      matrix[row * 4 + column] = round(value);
    });
  }
  return matrix;
}

/** Multiply two quaternions. @param {Float64Array} p @param {Float64Array} q */
function multiplyQuaternions([a, b, c, d], [e, f, g, h]) {
  return Float64Array.of(
    a * e - b * f - c * g - d * h,
    a * f + b * e + c * h - d * g,
    a * g - b * h + c * e + d * f,
    a * h + b * g - c * f + d * e,
  );
}

/**
 * Compute J/n + Z U diag(tanh s) V^t Z^t, in doubles like Python. U and V are Cayley transforms of skew-symmetric
 * matrices with tanh(t) above the diagonal. @type {ResidualMap}
 */
function scaleDifferences(raw, { n, round }) {
  const [values, size] = [raw.map(Math.tanh), n - 1];
  const angles = (size * (size - 1)) / 2;
  const [left, right] = [0, angles].map((first) => turnBasis(values.subarray(first, first + angles), n));
  const matrix = new Float64Array(n * n);
  for (let row = 0; row < n; row++) {
    for (let column = 0; column < n; column++) {
      let sum = 1 / n;
      for (let k = 0; k < size; k++) {
        sum += left[row * size + k] * values[2 * angles + k] * right[column * size + k];
      }
      matrix[row * n + column] = round(sum);
    }
  }
  return matrix;
}

/** Multiply Z (n, n - 1) by the Cayley transform of the entries above the diagonal. @param {Float64Array} upper @param {number} n */
function turnBasis(upper, n) {
  const size = n - 1;
  const skew = new Float64Array(size * size);
  let place = 0;
  for (let row = 0; row < size; row++) {
    for (let column = row + 1; column < size; column++) {
      skew[row * size + column] = upper[place];
      skew[column * size + row] = -upper[place++];
    }
  }
  // Column k - 1 of Z: k times 1, then -k, then 0, to unit norm.
  const basis = Float64Array.from({ length: n * size }, (_, index) => {
    const [row, k] = [Math.floor(index / size), (index % size) + 1];
    return (row < k ? 1 : row === k ? -k : 0) / Math.sqrt(k * (k + 1));
  });
  return multiplyMatrices(basis, applyCayley(skew, size), n, size, size);
}

/** Multiply matrices (rows, inner) and (inner, columns). @param {Float64Array} left @param {Float64Array} right @param {number} rows @param {number} inner @param {number} columns */
function multiplyMatrices(left, right, rows, inner, columns) {
  const product = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      let sum = 0;
      for (let k = 0; k < inner; k++) sum += left[row * inner + k] * right[k * columns + column];
      product[row * columns + column] = sum;
    }
  }
  return product;
}

/** Sum the squared entries of (I - A)^-1 (I + A) = 2 (I - A)^-1 - I over blocks of 2 x 2, and halve them, in doubles like Python. @type {ResidualMap} */
function sumBlockEnergy(raw, { n, round }) {
  const size = 2 * n;
  const skew = toSkew(raw, size).map((value) => -value);
  const matrix = new Float64Array(n * n);
  applyCayley(skew, size).forEach((value, index) => {
    const [row, column] = [Math.floor(index / size), index % size];
    matrix[(row >> 1) * n + (column >> 1)] += value ** 2 / 2;
  });
  return matrix.map(round);
}

/** The share of the uniform matrix, sigmoid(-8). */
const UNIFORM_SHARE = 1 / (1 + Math.exp(8));

/** Place entries one by one between their feasible ends, in doubles like Python; rows of logits index the input. @type {ResidualMap} */
function fillTransport(raw, { n, round }) {
  const [matrix, left] = [new Float64Array(n * n), new Float64Array(n).fill(1)];
  const take = (/** @type {number} */ input, /** @type {number} */ output, /** @type {number} */ entry) => {
    matrix[output * n + input] = entry;
    left[output] -= entry;
  };
  for (let input = 0; input < n - 1; input++) {
    let own = 1;
    for (let output = 0; output < n - 1; output++) {
      const later = left.subarray(output + 1).reduce((sum, value) => sum + value, 0);
      const least = Math.max(0, own - later);
      const most = Math.min(own, left[output]);
      const entry = least + (most - least) / (1 + Math.exp(-raw[input * (n - 1) + output]));
      take(input, output, entry);
      own -= entry;
    }
    take(input, n - 1, own);
  }
  left.forEach((entry, output) => {
    matrix[output * n + n - 1] = entry;
  });
  return matrix.map((entry) => round((1 - UNIFORM_SHARE) * entry + UNIFORM_SHARE / n));
}

/** Twice the mixing of all layers together. */
const BUDGET = 4;

/** Add the identity and the cyclic shifts with weights softmax(c); deeper stacks mix less. @type {ResidualMap} */
function addShifts(raw, { n, layers, round }) {
  const mixing = Math.min(1, BUDGET / (2 * layers));
  const shares = softmax(raw, round);
  const [g, kept] = [round(mixing), round(1 - mixing)];
  return Float64Array.from({ length: n * n }, (_, index) => {
    const shift = ((index % n) - Math.floor(index / n) + n) % n;
    return round(round(g * shares[shift]) + (shift === 0 ? kept : 0));
  });
}

/** Apply softmax to each row in float64, as Python does, and round the result. @type {ResidualMap} */
function softmaxRows(raw, { n, round }) {
  const matrix = new Float64Array(n * n);
  for (let start = 0; start < n * n; start += n)
    matrix.set(
      softmax(raw.subarray(start, start + n), (value) => value),
      start,
    );
  return matrix.map(round);
}
