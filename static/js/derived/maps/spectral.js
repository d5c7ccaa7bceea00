import { applyCayley, multiplyMatrices } from '../../data/matrices.js';

/**
 * Compute J/n + Z U diag(tanh s) V^t Z^t, in doubles like Python. U and V are Cayley transforms of skew-symmetric
 * matrices with tanh(t) above the diagonal. @type {import('../../../types').ResidualMap}
 */
export function mapLogits(raw, { n, round }) {
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
