/** Takes the first layers of columns that do not depend on later layers. Numbers are views on those of the base, which never change: a move of the depth would copy a hundred arrays. */

/** @typedef {import('../../types').Columns} Columns @typedef {import('../../types').Matrix} Matrix */

/** Extra columns of layer-by-layer matrices beyond one per layer. @type {Record<string, number>} */
const MORE_COLUMNS = { cka: 0, unfolded: 1 };

/** Copy the first layers of some columns into another record. @param {Columns} target @param {Columns} base @param {number} layers @param {Iterable<string>} keys */
export function copyFirstLayers(target, base, layers, keys) {
  for (const key of keys) {
    copyFirstColumn(target, base, layers, key);
    const matrix = base.matrices.get(key);
    if (matrix) target.matrices.set(key, sliceLayers(matrix, layers, MORE_COLUMNS[key]));
    const flags = [...(base.status.get(key) ?? [])].filter(([layer]) => layer < layers);
    if (flags.length > 0) target.status.set(key, new Map(flags));
    const band = base.bands.get(key);
    if (band)
      target.bands.set(
        key,
        mapValues(band, (column) => takeFirst(column, layers)),
      );
    if (key in base.input) target.input[key] = base.input[key];
  }
}

/** Copy the first layers of a column, unless they are empty: a comparison with the previous layer starts at the second. @param {Columns} target @param {Columns} base @param {number} layers @param {string} key */
function copyFirstColumn(target, base, layers, key) {
  const isEmpty = (/** @type {any} */ value) => value === null || Number.isNaN(value);
  for (const table of /** @type {const} */ (['layers', 'log10'])) {
    const all = base[table].get(key);
    const column = all && takeFirst(all, layers);
    if (column && (layers > 1 || base.status.get(key)?.has(0) || !isEmpty(column[0]))) target[table].set(key, column);
  }
}

/** Return the first numbers of a column. @template {any[] | Float64Array | Float32Array} T @param {T} column @param {number} count @returns {T} */
function takeFirst(column, count) {
  return /** @type {any} */ (Array.isArray(column) ? column.slice(0, count) : column.subarray(0, count));
}

/** Apply a function to every value of a record with string keys. @template T, U @param {Record<string, T>} record @param {(value: T) => U} map @returns {Record<string, U>} */
function mapValues(record, map) {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value)]));
}

/**
 * Return the first layers of a matrix (L, …), or the leading block of a layer-by-layer matrix.
 * @param {Matrix} matrix
 * @param {number} layers
 * @param {number} [more] number of columns besides one for each layer; undefined if columns are not layers
 * @returns {Matrix}
 */
export function sliceLayers({ shape: [all, ...rest], data }, layers, more) {
  if (more === undefined) return { shape: [layers, ...rest], data: takeFirst(data, (data.length / all) * layers) };
  const width = layers + more;
  const block = new Float64Array(layers * width);
  for (let row = 0; row < layers; row++) block.set(data.subarray(row * rest[0], row * rest[0] + width), row * width);
  return { shape: [layers, width], data: block };
}

/** Copy all layers of some columns into a deeper record; the remaining layers are unknown. @param {Columns} target @param {Columns} base @param {number} layers @param {Iterable<string>} keys */
export function copyIntoDeeper(target, base, layers, keys) {
  for (const key of keys) {
    for (const table of /** @type {const} */ (['layers', 'log10'])) {
      const column = base[table].get(key);
      if (column) target[table].set(key, lengthenColumn(column, layers));
    }
    const matrix = base.matrices.get(key);
    if (matrix) target.matrices.set(key, lengthenMatrix(matrix, layers));
    const flags = base.status.get(key);
    if (flags) target.status.set(key, new Map(flags));
    target.versions.set(key, 1);
  }
}

/** Lengthen a column to a larger depth, with unknown values. @param {any} column one number per layer, or several @param {number} layers @returns {any} */
function lengthenColumn(column, layers) {
  if (Array.isArray(column)) return [...column, ...new Array(layers - column.length).fill(null)];
  const longer = new Float64Array(layers).fill(NaN);
  longer.set(column);
  return longer;
}

/** Lengthen matrices of layers to a larger depth, with unknown values. @param {Matrix} matrix (L, …) @param {number} layers @returns {Matrix} */
function lengthenMatrix({ shape: [all, ...rest], data }, layers) {
  const longer = new Float64Array((data.length / all) * layers).fill(NaN);
  longer.set(data);
  return { shape: [layers, ...rest], data: longer };
}
