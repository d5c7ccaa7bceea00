/**
 * The gains that other seeds give a stack of free, static mixing matrices: drawn from their law. Each layer's matrix is an initial matrix
 * plus noise times standard normal numbers, so what it makes of a vector v is H v + noise |v| z, with z of n standard normal numbers. The
 * gain of a product is the largest entry, over depth, of what it makes of the vector of ones; a draw takes n numbers a layer.
 */

/**
 * One stack: `initial` (n, n) has rows as outputs, and is the same in all layers.
 * @typedef {{n: number, layers: number, noise: number, initial: ArrayLike<number>}} Law
 * @typedef {() => number} Random standard normal numbers
 */

const MAX_DRAWS = 8000; // which give the ends of the range to some 4 %
const MIN_DRAWS = 400; // with fewer they would say little
const MAX_WORK = 3e7; // operations: some 0.3 s of the browser's idle time
const NORMAL_WORK = 10; // operations of one normal number
const RESCALE = 1e100;

/** How many draws are affordable; 0 where too few are. @param {Law} law */
export function countDraws({ n, layers, initial }) {
  const work = layers * n * (NORMAL_WORK + (isIdentity(initial, n) ? 2 : n));
  const draws = Math.min(MAX_DRAWS, Math.floor(MAX_WORK / work));
  return draws < MIN_DRAWS ? 0 : draws;
}

/** @param {ArrayLike<number>} initial @param {number} n */
function isIdentity(initial, n) {
  return Array.from(initial).every((value, index) => value === (index % (n + 1) === 0 ? 1 : 0));
}

/** What draws the gain of one seed after another, log10. @param {Law} law @param {Random} random @returns {() => number} */
export function createDraw({ n, layers, noise, initial }, random) {
  const isOne = isIdentity(initial, n);
  return () => {
    let vector = new Float64Array(n).fill(1);
    let [most, shift] = [0, 0];
    for (let layer = 0; layer < layers; layer++) {
      let [square, largest] = [0, 0];
      for (let i = 0; i < n; i++) square += vector[i] * vector[i];
      const size = noise * Math.sqrt(square);
      if (!isOne) vector = multiply(initial, vector);
      for (let i = 0; i < n; i++) {
        vector[i] += size * random();
        largest = Math.max(largest, Math.abs(vector[i]));
      }
      if (layer === 0 || largest > most) most = largest;
      if (largest > RESCALE) {
        shift += Math.log10(largest);
        vector = vector.map((value) => value / largest);
        most /= largest;
      }
    }
    return Math.log10(most) + shift;
  };
}

/** @param {ArrayLike<number>} matrix @param {Float64Array} vector */
function multiply(matrix, vector) {
  const n = vector.length;
  return vector.map((_, i) => vector.reduce((sum, value, j) => sum + matrix[i * n + j] * value, 0));
}

/** A generator of standard normal numbers that always gives the same ones (mulberry32, and the polar method). @param {number} seed @returns {Random} */
export function createNormal(seed) {
  let state = seed;
  const uniform = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
  let spare = NaN;
  return () => {
    if (!Number.isNaN(spare)) {
      const found = spare;
      spare = NaN;
      return found;
    }
    let [x, y, radius] = [0, 0, 0];
    do {
      [x, y] = [2 * uniform() - 1, 2 * uniform() - 1];
      radius = x * x + y * y;
    } while (radius >= 1 || radius === 0);
    const scale = Math.sqrt((-2 * Math.log(radius)) / radius);
    spare = y * scale;
    return x * scale;
  };
}

/** Percentiles, linear between order statistics. @param {number[]} values @param {number[]} levels */
export function toPercentiles(values, levels) {
  const ordered = [...values].sort((a, b) => a - b);
  return levels.map((level) => {
    const place = level * (ordered.length - 1);
    const [low, high] = [ordered[Math.floor(place)], ordered[Math.ceil(place)]];
    return low + (high - low) * (place - Math.floor(place));
  });
}
