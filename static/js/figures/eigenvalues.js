/** Eigenvalues of mixing matrices and of their products. Counterpart: `mhc_core/figures/eigenvalues.py`. */

import { formatFixed, formatValue } from '../data/numbers.js';

/** A complex number. @typedef {[number, number]} Complex */

const EPS = 2 ** -52;
const MAX_TURNS = 300; // of the iteration for one eigenvalue; some ten are usual
const UNUSUAL = 10; // turns without success after which another shift is tried
const RESOLVED = 1e-4; // share of the largest eigenvalue, below which another one may be rounding
const TIE = 1e-7; // difference of real parts that does not decide an order

/**
 * Return the eigenvalues of a product that rounding does not decide, as factors per layer: size^(1/layers), with their own angles.
 * @param {import('./composites.js').Product} product
 * @returns {Complex[] | null} by real part, the largest first; null if the product has no numbers
 */
export function eigenvaluesPerLayer({ scaled, exponent, n, first, last }) {
  if (!scaled.every(Number.isFinite)) return null;
  const found = listEigenvalues(scaled, n);
  const most = Math.max(...found.map(([re, im]) => Math.hypot(re, im)));
  const scale = (exponent * Math.LN2) / (last - first + 1);
  return found
    .filter(([re, im]) => most > 0 && Math.hypot(re, im) > RESOLVED * most)
    .map(([re, im]) => {
      const size = Math.hypot(re, im);
      const own = Math.exp(Math.log(size) / (last - first + 1) + scale);
      return /** @type {Complex} */ ([(re / size) * own, (im / size) * own]);
    })
    .sort((one, other) => Math.round((other[0] - one[0]) / TIE) || other[1] - one[1]);
}

/** Return lines from the origin to each eigenvalue: real parts, imaginary parts or texts, null between two. @param {Complex[]} values @param {string} part `re`, `im` or `text` */
export function toSpokes(values, part) {
  return values.flatMap(([re, im], index) => {
    const angle = Math.abs((Math.atan2(im, re) * 180) / Math.PI);
    const text = `size ${formatValue(Math.hypot(re, im))}, angle ${formatFixed(angle, 0)}°`;
    const [origin, end] = part === 'text' ? ['', text] : [0, part === 're' ? re : im];
    return index > 0 ? [null, origin, end] : [origin, end];
  });
}

/** List the eigenvalues of a real matrix by the QR algorithm with shifts, in complex numbers. @param {ArrayLike<number>} matrix row-major @param {number} n @returns {Complex[]} */
export function listEigenvalues(matrix, n) {
  const rows = Array.from({ length: n }, (_, i) =>
    Array.from({ length: n }, (_, j) => /** @type {Complex} */ ([matrix[i * n + j], 0])),
  );
  const size = Math.hypot(...Array.from(matrix));
  /** @type {Complex[]} */
  const found = [];
  for (let [m, turns] = [n, 0]; m > 0; turns++) {
    const left = Math.hypot(...rows[m - 1].slice(0, m - 1).flat());
    if (left <= EPS * size || turns > MAX_TURNS) {
      found.push(turns > MAX_TURNS ? [NaN, NaN] : rows[m - 1][m - 1]);
      m -= 1;
      turns = 0;
    } else {
      const shift =
        turns % UNUSUAL === UNUSUAL - 1 ? /** @type {Complex} */ ([0.7 * size, 0.3 * size]) : findShift(rows, m);
      stepQr(rows, m, shift);
    }
  }
  return found;
}

/** Replace the first m rows and columns by those after one step of the QR algorithm for eigenvalues: A - s = Q R, then R Q + s. @param {Complex[][]} rows @param {number} m @param {Complex} shift */
function stepQr(rows, m, shift) {
  for (let i = 0; i < m; i++) rows[i][i] = subtract(rows[i][i], shift);
  /** @type {[number, number, Complex, Complex][]} */
  const turns = [];
  for (let k = 0; k < m - 1; k++) {
    for (let i = k + 1; i < m; i++) {
      const [a, b] = [rows[k][k], rows[i][k]];
      const r = Math.hypot(...a, ...b);
      if (r === 0 || (b[0] === 0 && b[1] === 0)) continue;
      const [c, s] = [scale(a, 1 / r), scale(b, 1 / r)];
      for (let j = k; j < m; j++) {
        const [x, y] = [rows[k][j], rows[i][j]];
        rows[k][j] = add(multiply(conjugate(c), x), multiply(conjugate(s), y));
        rows[i][j] = subtract(multiply(c, y), multiply(s, x));
      }
      turns.push([k, i, c, s]);
    }
  }
  for (const [k, i, c, s] of turns) {
    for (let row = 0; row < m; row++) {
      const [x, y] = [rows[row][k], rows[row][i]];
      rows[row][k] = add(multiply(c, x), multiply(s, y));
      rows[row][i] = subtract(multiply(conjugate(c), y), multiply(conjugate(s), x));
    }
  }
  for (let i = 0; i < m; i++) rows[i][i] = add(rows[i][i], shift);
}

/** Return the shift of a step of the QR algorithm: the eigenvalue of the last 2 x 2 block that is closer to its last entry. @param {Complex[][]} rows @param {number} m @returns {Complex} */
function findShift(rows, m) {
  const [a, b, c, d] = [rows[m - 2][m - 2], rows[m - 2][m - 1], rows[m - 1][m - 2], rows[m - 1][m - 1]];
  const half = scale(subtract(a, d), 0.5);
  const root = squareRoot(add(multiply(half, half), multiply(b, c)));
  const [one, other] = [add(half, root), subtract(half, root)];
  return add(d, Math.hypot(...one) < Math.hypot(...other) ? one : other);
}

/** @param {Complex} x @param {Complex} y @returns {Complex} */
const add = (x, y) => [x[0] + y[0], x[1] + y[1]];
/** @param {Complex} x @param {Complex} y @returns {Complex} */
const subtract = (x, y) => [x[0] - y[0], x[1] - y[1]];
/** @param {Complex} x @param {Complex} y @returns {Complex} */
const multiply = (x, y) => [x[0] * y[0] - x[1] * y[1], x[0] * y[1] + x[1] * y[0]];
/** @param {Complex} x @param {number} factor @returns {Complex} */
const scale = (x, factor) => [x[0] * factor, x[1] * factor];
/** @param {Complex} x @returns {Complex} */
const conjugate = (x) => [x[0], -x[1]];
/** Return the square root of a complex number with a real part of at least 0. @param {Complex} x @returns {Complex} */
function squareRoot(x) {
  const size = Math.sqrt(Math.hypot(...x));
  const angle = Math.atan2(x[1], x[0]) / 2;
  return [size * Math.cos(angle), size * Math.sin(angle)];
}
