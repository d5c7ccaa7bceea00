import { applyCayley, toSkew } from '../../data/matrices.js';

/** Compute the Cayley transform of A = T - T^t, in doubles like Python. @type {import('../../../types').ResidualMap} */
export function mapLogits(raw, { n, round }) {
  return applyCayley(toSkew(raw, n), n).map(round);
}
