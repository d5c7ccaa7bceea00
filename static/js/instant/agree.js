/** Whether what was shown at once is what the server says. */

/** @typedef {import('../../types').Columns} Columns @typedef {import('../../types').AtOnceRules} AtOnceRules */

const TOLERANCE = 1e-6;

/**
 * What of the columns that were known at once the server says otherwise, in words; empty where all agree to 1e-6, relative, and
 * absolute where the metric's precision has an absolute part.
 * @param {Columns} known
 * @param {Columns} said of the run that has ended
 * @param {AtOnceRules} rules
 * @returns {string[]}
 */
export function findDifferences(known, said, { absolute }) {
  const floorOf = (/** @type {string} */ key) => (absolute.includes(key) ? TOLERANCE : 0);
  // Of what may be rounding alone a logarithm says nothing.
  const logs = [...known.log10].filter(([key]) => !absolute.includes(key));
  return [
    ...[...known.layers].flatMap(([key, column]) => compare(key, column, said.layers.get(key), floorOf(key))),
    ...logs.flatMap(([key, column]) => compare(`log10 ${key}`, column, said.log10.get(key), TOLERANCE)),
    ...[...known.matrices].flatMap(([key, { data }]) => compare(key, data, said.matrices.get(key)?.data, floorOf(key))),
    ...[...known.bands].flatMap(([key, band]) =>
      Object.entries(band).flatMap(([name, column]) =>
        compare(`${name} of ${key}`, column, said.bands.get(key)?.[name], TOLERANCE),
      ),
    ),
  ];
}

/** @param {string} name @param {any} mine @param {any} theirs @param {number} floor @returns {string[]} */
function compare(name, mine, theirs, floor) {
  const [one, other] = [flatten(mine), flatten(theirs)];
  if (one.length !== other.length) return [`${name}: ${one.length} values at once, ${other.length} of the server`];
  const place = one.findIndex(
    (/** @type {number} */ value, /** @type {number} */ index) => !isNear(value, other[index], floor),
  );
  return place < 0 ? [] : [`${name}[${place}]: ${one[place]} at once, ${other[place]} of the server`];
}

/** A column as one list. @param {any} column one number a layer; or several, null where they are not known @returns {any} */
function flatten(column) {
  if (!column) return [];
  return Array.isArray(column) ? column.flatMap((row) => (row === null ? [] : Array.from(row))) : column;
}

/** @param {number} one @param {number} other @param {number} floor */
function isNear(one, other, floor) {
  if (Number.isNaN(one) || Number.isNaN(other)) return Number.isNaN(one) === Number.isNaN(other);
  return one === other || Math.abs(one - other) <= TOLERANCE * Math.abs(other) + floor;
}
