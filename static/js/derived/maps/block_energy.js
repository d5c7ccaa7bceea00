import { applyCayley, toSkew } from '../../data/matrices.js';

/** Sum the squared entries of (I - A)^-1 (I + A) = 2 (I - A)^-1 - I over blocks of 2 x 2, and halve them, in doubles like Python. @type {import('../../../types').ResidualMap} */
export function mapLogits(raw, { n, round }) {
  const size = 2 * n;
  const skew = toSkew(raw, size).map((value) => -value);
  const matrix = new Float64Array(n * n);
  applyCayley(skew, size).forEach((value, index) => {
    const [row, column] = [Math.floor(index / size), index % size];
    matrix[(row >> 1) * n + (column >> 1)] += value ** 2 / 2;
  });
  return matrix.map(round);
}
