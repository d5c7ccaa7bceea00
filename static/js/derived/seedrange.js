/**
 * Samples gains over seeds for a stack of free, static mixing matrices. Each layer's matrix is an initial matrix plus noise times standard
 * normal numbers, so that it maps a vector v to H v + noise |v| z, with n standard normal numbers z. The gain of the product is the
 * largest entry, over depth, of the image of the vector of ones; one draw takes n numbers per layer.
 */

/**
 * Distribution of one stack: `initial` (n, n) has rows as outputs, and is the same in all layers.
 * @typedef {{n: number, layers: number, noise: number, initial: ArrayLike<number>}} Law
 * @typedef {() => number} Random standard normal numbers
 */

const MAX_DRAWS = 8000; // the ends of the range are accurate to about 4 %
const MIN_DRAWS = 400; // fewer draws are too inaccurate to show
const MAX_WORK = 3e7; // operations: about 0.3 s of idle time
const NORMAL_WORK = 10; // operations per normal number
const RESCALE = 1e100;

/** Count the affordable draws; 0 if they are too few. @param {Law} law */
export function countDraws({ n, layers, initial }) {
  const work = layers * n * (NORMAL_WORK + (isIdentity(initial, n) ? 2 : n));
  const draws = Math.min(MAX_DRAWS, Math.floor(MAX_WORK / work));
  return draws < MIN_DRAWS ? 0 : draws;
}

/** Return whether a mixing matrix is the identity. @param {ArrayLike<number>} initial @param {number} n */
function isIdentity(initial, n) {
  return Array.from(initial).every((value, index) => value === (index % (n + 1) === 0 ? 1 : 0));
}

/** Create a function that samples the largest composite gain of a random seed, as log10. @param {Law} law @param {Random} random @returns {() => number} */
export function createGainSampler({ n, layers, noise, initial }, random) {
  const isOne = isIdentity(initial, n);
  return () => {
    let vector = new Float64Array(n).fill(1);
    let [most, shift] = [0, 0];
    for (let layer = 0; layer < layers; layer++) {
      let [square, largest] = [0, 0];
      for (let i = 0; i < n; i++) square += vector[i] * vector[i];
      const size = noise * Math.sqrt(square);
      if (!isOne) vector = multiplyVector(initial, vector);
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

/** Multiply a matrix and a vector. @param {ArrayLike<number>} matrix @param {Float64Array} vector */
function multiplyVector(matrix, vector) {
  const n = vector.length;
  return vector.map((_, i) => vector.reduce((sum, value, j) => sum + matrix[i * n + j] * value, 0));
}

/** Create a reproducible generator of standard normal numbers (mulberry32 and the polar method). @param {number} seed @returns {Random} */
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

/** Compute percentiles, linear between order statistics. @param {number[]} values @param {number[]} levels */
export function toPercentiles(values, levels) {
  const ordered = [...values].sort((a, b) => a - b);
  return levels.map((level) => {
    const position = level * (ordered.length - 1);
    const [low, high] = [ordered[Math.floor(position)], ordered[Math.ceil(position)]];
    return low + (high - low) * (position - Math.floor(position));
  });
}
