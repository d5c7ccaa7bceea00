/** Sinkhorn-Knopp for one matrix, like `mhc_core/layers/sinkhorn.py`: columns first, rows last. */

/** @typedef {import('../../../types').Round} Round */

/** Normalise columns and rows of exp(logits) for some rounds. @type {import('../../../types').ResidualMap} */
export function mapLogits(raw, { n, rounds, eps, round }) {
  if (rounds === 0) return raw.map((value) => round(Math.exp(value)));
  return eps > 0 ? sinkhornWithEps(raw, n, rounds, eps, round) : sinkhornInLogarithms(raw, n, rounds, round);
}

/** Iterate on logarithms like Python: in float32 every step rounds, and only the same steps round equally. @param {Float64Array} logits @param {number} n @param {number} rounds @param {Round} round */
function sinkhornInLogarithms(logits, n, rounds, round) {
  const matrix = Float64Array.from(logits);
  normaliseLogs(matrix, n, 1, n, round);
  for (let k = 1; k < rounds; k++) {
    normaliseLogs(matrix, n, n, 1, round);
    normaliseLogs(matrix, n, 1, n, round);
  }
  softmax(matrix, n, n, 1, round);
  return matrix;
}

/**
 * Apply log-softmax to each line: to rows for strides (n, 1), to columns for (1, n).
 * @param {Float64Array} matrix in place
 * @param {number} n
 * @param {number} line stride from one line to the next
 * @param {number} step stride along a line
 * @param {Round} round
 */
function normaliseLogs(matrix, n, line, step, round) {
  for (let start = 0; start < n * line; start += line) {
    const { most, sum } = sumExp(matrix, n, start, step, round);
    const log = round(Math.log(sum));
    for (let k = 0; k < n; k++) matrix[start + k * step] = round(round(matrix[start + k * step] - most) - log);
  }
}

/** Apply softmax to each line, in place. @param {Float64Array} matrix @param {number} n @param {number} line @param {number} step @param {Round} round */
function softmax(matrix, n, line, step, round) {
  for (let start = 0; start < n * line; start += line) {
    const { most, sum } = sumExp(matrix, n, start, step, round);
    for (let k = 0; k < n; k++) {
      matrix[start + k * step] = round(round(Math.exp(round(matrix[start + k * step] - most))) / sum);
    }
  }
}

/** Compute the maximum of a line and its sum of exponentials. @param {Float64Array} matrix @param {number} n @param {number} start @param {number} step @param {Round} round */
function sumExp(matrix, n, start, step, round) {
  let most = -Infinity;
  for (let k = 0; k < n; k++) most = Math.max(most, matrix[start + k * step]);
  let sum = 0;
  for (let k = 0; k < n; k++) sum = round(sum + round(Math.exp(round(matrix[start + k * step] - most))));
  return { most, sum };
}

/** Normalise rows and columns in rounds of Sinkhorn with eps, as DeepSeek-V4 does. @param {Float64Array} logits @param {number} n @param {number} rounds @param {number} eps @param {Round} round */
function sinkhornWithEps(logits, n, rounds, eps, round) {
  const matrix = Float64Array.from(logits);
  softmax(matrix, n, 1, n, round);
  for (let k = 0; k < n * n; k++) matrix[k] = round(matrix[k] + round(eps));
  divideLines(matrix, n, n, 1, eps, round);
  for (let k = 1; k < rounds; k++) {
    divideLines(matrix, n, 1, n, eps, round);
    divideLines(matrix, n, n, 1, eps, round);
  }
  return matrix;
}

/** Divide each line by its sum plus eps, in place. @param {Float64Array} matrix @param {number} n @param {number} line @param {number} step @param {number} eps @param {Round} round */
function divideLines(matrix, n, line, step, eps, round) {
  for (let start = 0; start < n * line; start += line) {
    let sum = 0;
    for (let k = 0; k < n; k++) sum = round(sum + matrix[start + k * step]);
    const total = round(sum + round(eps));
    for (let k = 0; k < n; k++) matrix[start + k * step] = round(matrix[start + k * step] / total);
  }
}
