import { softmax } from '../../data/matrices.js';

/** Twice the mixing of all layers together. */
const BUDGET = 4;

/** Add the identity and the cyclic shifts with weights softmax(c); deeper stacks mix less. @type {import('../../../types').ResidualMap} */
export function mapLogits(raw, { n, layers, round }) {
  const mixing = Math.min(1, BUDGET / (2 * layers));
  const shares = softmax(raw, round);
  const [g, kept] = [round(mixing), round(1 - mixing)];
  return Float64Array.from({ length: n * n }, (_, index) => {
    const shift = ((index % n) - Math.floor(index / n) + n) % n;
    return round(round(g * shares[shift]) + (shift === 0 ? kept : 0));
  });
}
