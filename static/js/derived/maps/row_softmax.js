import { softmax } from '../../data/matrices.js';

/** Apply softmax to each row in float64, as Python does, and round the result. @type {import('../../../types').ResidualMap} */
export function mapLogits(raw, { n, round }) {
  const matrix = new Float64Array(n * n);
  for (let start = 0; start < n * n; start += n)
    matrix.set(
      softmax(raw.subarray(start, start + n), (value) => value),
      start,
    );
  return matrix.map(round);
}
