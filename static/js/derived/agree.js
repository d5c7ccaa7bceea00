/** Compares derived columns with those of the server. */

/** @typedef {import('../../types').Columns} Columns @typedef {import('../../types').DerivationRules} DerivationRules */

const TOLERANCE = 1e-6;

/**
 * Describe where derived columns differ from the server's; empty if all agree to 1e-6, relative, and absolute if the metric's precision
 * has an absolute part. Products of many layers accumulate rounding, so that they must agree to the relative precision in the catalogue.
 * @param {Columns} known
 * @param {Columns} computed of the finished run
 * @param {DerivationRules} rules
 * @returns {string[]}
 */
export function findDifferences(known, computed, { relative, absolute }) {
  const shareOf = (/** @type {string} */ key) => Math.max(TOLERANCE, relative[key] ?? 0);
  const floorOf = (/** @type {string} */ key) => (absolute.includes(key) ? TOLERANCE : 0);
  // The logarithm of a rounding error is meaningless.
  const logs = [...known.log10].filter(([key]) => !absolute.includes(key));
  return [
    ...[...known.layers].flatMap(([key, column]) =>
      compareColumns(key, column, computed.layers.get(key), floorOf(key), shareOf(key)),
    ),
    ...logs.flatMap(([key, column]) => compareColumns(`log10 ${key}`, column, computed.log10.get(key), shareOf(key))),
    ...[...known.matrices].flatMap(([key, { data }]) =>
      compareColumns(key, data, computed.matrices.get(key)?.data, floorOf(key)),
    ),
    ...[...known.bands].flatMap(([key, band]) =>
      Object.entries(band).flatMap(([name, column]) =>
        compareColumns(`${name} of ${key}`, column, computed.bands.get(key)?.[name], TOLERANCE),
      ),
    ),
  ];
}

/** Describe where two columns of one name differ; empty if they agree. @param {string} name @param {any} mine @param {any} theirs @param {number} floor @param {number} [share] @returns {string[]} */
function compareColumns(name, mine, theirs, floor, share = TOLERANCE) {
  const [one, other] = [flatten(mine), flatten(theirs)];
  if (one.length !== other.length) return [`${name}: ${one.length} values derived, ${other.length} on the server`];
  const first = one.findIndex(
    (/** @type {number} */ value, /** @type {number} */ index) => !isNear(value, other[index], floor, share),
  );
  return first < 0 ? [] : [`${name}[${first}]: ${one[first]} derived, ${other[first]} on the server`];
}

/** Flatten a column of any shape to one list of numbers. @param {any} column one number per layer, or several, null if unknown @returns {any} */
function flatten(column) {
  if (!column) return [];
  return Array.isArray(column) ? column.flatMap((row) => (row === null ? [] : Array.from(row))) : column;
}

/** Return whether two numbers agree within a tolerance; NaN agrees with NaN. @param {number} one @param {number} other @param {number} floor @param {number} share */
function isNear(one, other, floor, share) {
  if (Number.isNaN(one) || Number.isNaN(other)) return Number.isNaN(one) === Number.isNaN(other);
  return one === other || Math.abs(one - other) <= share * Math.abs(other) + floor;
}
