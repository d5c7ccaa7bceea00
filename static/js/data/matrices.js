/** Matrices with few rows, in one array row by row; square if nothing else is said. */

/** Create the identity matrix. @param {number} n */
export const identity = (n) => Float64Array.from({ length: n * n }, (_, index) => Number(index % (n + 1) === 0));

/** Exchange two rows of numbers in place. @param {Float64Array} entries @param {number} one @param {number} other @param {number} width */
export function swapRows(entries, one, other, width) {
  for (let column = 0; column < width; column++) {
    const [i, j] = [one * width + column, other * width + column];
    [entries[i], entries[j]] = [entries[j], entries[i]];
  }
}

/** Invert a matrix by elimination with pivots; entries are not finite if it is singular. @param {Float64Array} matrix @param {number} n */
export function invertMatrix(matrix, n) {
  const left = Float64Array.from(matrix);
  const right = identity(n);
  for (let column = 0; column < n; column++) {
    let pivot = column;
    for (let row = column + 1; row < n; row++) {
      if (Math.abs(left[row * n + column]) > Math.abs(left[pivot * n + column])) pivot = row;
    }
    for (const side of [left, right]) swapRows(side, column, pivot, n);
    const factor = 1 / left[column * n + column];
    for (const side of [left, right]) for (let k = 0; k < n; k++) side[column * n + k] *= factor;
    for (let row = 0; row < n; row++) {
      if (row !== column) subtractRow(left, right, n, row, column);
    }
  }
  return right;
}

/** Subtract a multiple of the pivot row, so that the entry in the pivot's column becomes 0. @param {Float64Array} left @param {Float64Array} right @param {number} n @param {number} row @param {number} pivot */
function subtractRow(left, right, n, row, pivot) {
  const factor = left[row * n + pivot];
  for (const side of [left, right]) {
    for (let k = 0; k < n; k++) side[row * n + k] -= factor * side[pivot * n + k];
  }
}

/** Multiply matrices (rows, inner) and (inner, columns). @param {Float64Array} left @param {Float64Array} right @param {number} rows @param {number} inner @param {number} columns */
export function multiplyMatrices(left, right, rows, inner, columns) {
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

/** Return the skew-symmetric matrix A = T - T^t of logits. @param {Float64Array} raw (n, n) @param {number} n */
export function toSkew(raw, n) {
  return raw.map((value, index) => value - raw[(index % n) * n + Math.floor(index / n)]);
}

/** Compute (I + A)^-1 (I - A) = 2 (I + A)^-1 - I of a skew-symmetric matrix. @param {Float64Array} skew @param {number} n */
export function applyCayley(skew, n) {
  const inverse = invertMatrix(
    skew.map((value, index) => value + (index % (n + 1) === 0 ? 1 : 0)),
    n,
  );
  return inverse.map((value, index) => 2 * value - (index % (n + 1) === 0 ? 1 : 0));
}

/** Return exp(t) divided by its sum, for a row of logits. @param {Float64Array} raw @param {import('../../types').Round} round */
export function softmax(raw, round) {
  const most = raw.reduce((largest, value) => Math.max(largest, value), -Infinity);
  const sizes = raw.map((value) => round(Math.exp(round(value - most))));
  const total = round(sizes.reduce((sum, value) => sum + value, 0));
  return sizes.map((size) => round(size / total));
}
