/** Square matrices with few rows, in one array row by row. */

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
