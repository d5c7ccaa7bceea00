import { applyCayley, toSkew } from '../../data/matrices.js';

/** Square the entries of the Cayley transform, in doubles like Python. @type {import('../../../types').ResidualMap} */
export function mapLogits(raw, { n, round }) {
  return applyCayley(toSkew(raw, n), n).map((value) => round(value ** 2));
}
