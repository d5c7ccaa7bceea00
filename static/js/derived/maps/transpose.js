/** Transpose square matrices: in HC's A_r and Frac's A, rows are inputs. @type {import('../../../types').ResidualMap} */
export function mapLogits(raw, { n }) {
  const matrix = new Float64Array(raw.length);
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) matrix[i * n + j] = raw[j * n + i];
  return matrix;
}
