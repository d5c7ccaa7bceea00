import { softmax } from '../../data/matrices.js';

/** Caches permutations by n. @type {Map<number, number[][]>} */
const permutations = new Map();

/** Compute H_res as the average of all permutations, with weights softmax(t). @type {import('../../../types').ResidualMap} */
export function mapLogits(raw, { n, round }) {
  const weights = softmax(raw, round);
  const matrix = new Float64Array(n * n);
  listPermutations(n).forEach((permutation, k) => {
    permutation.forEach((column, row) => {
      matrix[row * n + column] += weights[k];
    });
  });
  return matrix.map(round);
}

/** List permutations in lexicographic order, the identity first. @param {number} n @returns {number[][]} */
function listPermutations(n) {
  const known = permutations.get(n);
  if (known) return known;
  /** List the permutations of the remaining items. @param {number[]} left @returns {number[][]} */
  const extend = (left) =>
    left.length === 0
      ? [[]]
      : left.flatMap((first) => extend(left.filter((item) => item !== first)).map((rest) => [first, ...rest]));
  const found = extend([...new Array(n).keys()]);
  permutations.set(n, found);
  return found;
}
