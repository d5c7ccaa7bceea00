/** The beginning of a record: its first layers, of columns that do not depend on those above. */

/** @typedef {import('../../types').Columns} Columns @typedef {import('../../types').Matrix} Matrix */

/** Matrices of layer by layer have a column a layer, and that of unfolded connections one more. @type {Record<string, number>} */
const MORE_COLUMNS = { cka: 0, unfolded: 1 };

/** Put the first layers of some of a record's columns into another. @param {Columns} target @param {Columns} base @param {number} layers @param {Iterable<string>} keys */
export function takeBeginning(target, base, layers, keys) {
  for (const key of keys) {
    takeColumn(target, base, layers, key);
    const matrix = base.matrices.get(key);
    if (matrix) target.matrices.set(key, cutMatrix(matrix, layers, MORE_COLUMNS[key]));
    const flags = [...(base.status.get(key) ?? [])].filter(([layer]) => layer < layers);
    if (flags.length > 0) target.status.set(key, new Map(flags));
    const band = base.bands.get(key);
    if (band)
      target.bands.set(
        key,
        mapValues(band, (column) => column.slice(0, layers)),
      );
    if (key in base.input) target.input[key] = base.input[key];
  }
}

/** A column that begins later, as a comparison with the layer before does, is not there at all in a stack of fewer layers. @param {Columns} target @param {Columns} base @param {number} layers @param {string} key */
function takeColumn(target, base, layers, key) {
  const isEmpty = (/** @type {any} */ value) => value === null || Number.isNaN(value);
  for (const table of /** @type {const} */ (['layers', 'log10'])) {
    const column = base[table].get(key)?.slice(0, layers);
    if (column && (layers > 1 || base.status.get(key)?.has(0) || !isEmpty(column[0]))) target[table].set(key, column);
  }
}

/** @template T, U @param {Record<string, T>} record @param {(value: T) => U} map @returns {Record<string, U>} */
function mapValues(record, map) {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value)]));
}

/**
 * The first layers of a matrix (L, …); of one of layer by layer the leading block.
 * @param {Matrix} matrix
 * @param {number} layers
 * @param {number} [more] columns beyond one a layer
 * @returns {Matrix}
 */
export function cutMatrix({ shape: [all, ...rest], data }, layers, more) {
  if (more === undefined) return { shape: [layers, ...rest], data: data.slice(0, (data.length / all) * layers) };
  const width = layers + more;
  const block = new Float64Array(layers * width);
  for (let row = 0; row < layers; row++) block.set(data.subarray(row * rest[0], row * rest[0] + width), row * width);
  return { shape: [layers, width], data: block };
}

/** Put all layers of some of a record's columns into one of more layers, which are not known yet. @param {Columns} target @param {Columns} base @param {number} layers @param {Iterable<string>} keys */
export function putBeginning(target, base, layers, keys) {
  for (const key of keys) {
    for (const table of /** @type {const} */ (['layers', 'log10'])) {
      const column = base[table].get(key);
      if (column) target[table].set(key, lengthen(column, layers));
    }
    const matrix = base.matrices.get(key);
    if (matrix) target.matrices.set(key, lengthenMatrix(matrix, layers));
    const flags = base.status.get(key);
    if (flags) target.status.set(key, new Map(flags));
    target.versions.set(key, 1);
  }
}

/** @param {any} column one number a layer, or several @param {number} layers @returns {any} */
function lengthen(column, layers) {
  if (Array.isArray(column)) return [...column, ...new Array(layers - column.length).fill(null)];
  const longer = new Float64Array(layers).fill(NaN);
  longer.set(column);
  return longer;
}

/** @param {Matrix} matrix (L, …) @param {number} layers @returns {Matrix} */
function lengthenMatrix({ shape: [all, ...rest], data }, layers) {
  const longer = new Float64Array((data.length / all) * layers).fill(NaN);
  longer.set(data);
  return { shape: [layers, ...rest], data: longer };
}
