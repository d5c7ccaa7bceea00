import { multiplyMatrices, toSkew } from '../../data/matrices.js';

/** Compute I + t + t^2 / 2 + t^3 / 4 with t = 0.1 (T - T^t), in doubles like Python. @type {import('../../../types').ResidualMap} */
export function mapLogits(raw, { n, round }) {
  const step = toSkew(raw, n).map((value) => 0.1 * value);
  const square = multiplyMatrices(step, step, n, n, n);
  const cube = multiplyMatrices(square, step, n, n, n);
  return step.map((value, index) =>
    round((index % (n + 1) === 0 ? 1 : 0) + value + square[index] / 2 + cube[index] / 4),
  );
}
