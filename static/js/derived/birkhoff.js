/** Finds the doubly stochastic matrix nearest to a matrix. */

const MAX_ROUNDS = 20_000;
const CLOSE = 1e-12;

/**
 * Return the nearest matrix, in the Frobenius norm, whose entries are at least 0 and whose rows and columns sum to 1: by Dykstra's alternating
 * projections between the matrices with these sums and those without negative entries. The correction of the second set makes the limit the
 * nearest point, not any point of both sets.
 * @param {ArrayLike<number>} entries (n, n), finite
 * @param {number} n
 * @returns {Float64Array} (n, n)
 */
export function projectToDoublyStochastic(entries, n) {
  let matrix = Float64Array.from(entries);
  let correction = new Float64Array(n * n);
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const sums = projectToSums(matrix, n);
    const shifted = sums.map((value, index) => value + correction[index]);
    const next = shifted.map((value) => Math.max(0, value));
    correction = shifted.map((value, index) => value - next[index]);
    const moved = Math.max(...next.map((value, index) => Math.abs(value - matrix[index])));
    matrix = next;
    if (moved < CLOSE && Math.max(...sums.map((value, index) => Math.abs(value - next[index]))) < CLOSE) break;
  }
  return matrix;
}

/** Return the nearest matrix whose rows and columns sum to 1. @param {Float64Array} matrix @param {number} n */
function projectToSums(matrix, n) {
  const rows = new Float64Array(n);
  const columns = new Float64Array(n);
  matrix.forEach((value, index) => {
    rows[Math.floor(index / n)] += value;
    columns[index % n] += value;
  });
  const total = rows.reduce((sum, value) => sum + value, 0);
  return matrix.map(
    (value, index) =>
      value + (1 - rows[Math.floor(index / n)]) / n + (1 - columns[index % n]) / n - (n - total) / (n * n),
  );
}
