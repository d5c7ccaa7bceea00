/** The share of the uniform matrix, sigmoid(-8). */
const UNIFORM_SHARE = 1 / (1 + Math.exp(8));

/** Place entries one by one between their feasible ends, in doubles like Python; rows of logits index the input. @type {import('../../../types').ResidualMap} */
export function mapLogits(raw, { n, round }) {
  const [matrix, left] = [new Float64Array(n * n), new Float64Array(n).fill(1)];
  const take = (/** @type {number} */ input, /** @type {number} */ output, /** @type {number} */ entry) => {
    matrix[output * n + input] = entry;
    left[output] -= entry;
  };
  for (let input = 0; input < n - 1; input++) {
    let own = 1;
    for (let output = 0; output < n - 1; output++) {
      const later = left.subarray(output + 1).reduce((sum, value) => sum + value, 0);
      const least = Math.max(0, own - later);
      const most = Math.min(own, left[output]);
      const entry = least + (most - least) / (1 + Math.exp(-raw[input * (n - 1) + output]));
      take(input, output, entry);
      own -= entry;
    }
    take(input, n - 1, own);
  }
  left.forEach((entry, output) => {
    matrix[output * n + n - 1] = entry;
  });
  return matrix.map((entry) => round((1 - UNIFORM_SHARE) * entry + UNIFORM_SHARE / n));
}
