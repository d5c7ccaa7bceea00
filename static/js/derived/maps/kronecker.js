/** Multiply (Kronecker) the matrices [[p, 1 - p], [1 - p, p]] with p = sigmoid(t), one per logit. @type {import('../../../types').ResidualMap} */
export function mapLogits(raw, { round }) {
  let [matrix, size] = [Float64Array.of(1), 1];
  for (const logit of raw) {
    const [same, other] = [sigmoid(logit, round), sigmoid(-logit, round)];
    const next = new Float64Array(4 * size * size);
    for (let row = 0; row < 2 * size; row++) {
      for (let column = 0; column < 2 * size; column++) {
        const outer = matrix[(row >> 1) * size + (column >> 1)];
        next[row * 2 * size + column] = round(outer * ((row & 1) === (column & 1) ? same : other));
      }
    }
    [matrix, size] = [next, 2 * size];
  }
  return matrix;
}

/** Return 1 / (1 + exp(-t)). @param {number} value @param {import('../../../types').Round} round */
function sigmoid(value, round) {
  return round(1 / round(1 + round(Math.exp(-value))));
}
