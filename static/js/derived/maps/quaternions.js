/** Compute x -> p x conj(q) of two quaternions, four logits each, divided by their norms. @type {import('../../../types').ResidualMap} */
export function mapLogits(raw, { round }) {
  const [p, q] = [raw.subarray(0, 4), raw.subarray(4, 8)].map((part) =>
    part.map((value) => value / Math.hypot(...part)),
  );
  const conjugate = q.map((value, index) => (index ? -value : value));
  const matrix = new Float64Array(16);
  for (let column = 0; column < 4; column++) {
    const unit = Float64Array.from([0, 1, 2, 3], (place) => Number(place === column));
    multiplyQuaternions(multiplyQuaternions(p, unit), conjugate).forEach((value, row) => {
      matrix[row * 4 + column] = round(value);
    });
  }
  return matrix;
}

/** Multiply two quaternions. @param {Float64Array} p @param {Float64Array} q */
function multiplyQuaternions([a, b, c, d], [e, f, g, h]) {
  return Float64Array.of(
    a * e - b * f - c * g - d * h,
    a * f + b * e + c * h - d * g,
    a * g - b * h + c * e + d * f,
    a * h + b * g - c * f + d * e,
  );
}
