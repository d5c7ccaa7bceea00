/** Recomputes composite gains over an interval of layers: forward from its first layer, backward from its last. Counterpart: `mhc_core/figures/parts.py`. */

import { depthOf } from '../data/record.js';
import { measureComposites, toValues } from './products.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('../../types').Matrix} Matrix @typedef {{first: number, last: number}} Interval layers from 0 */
/** @typedef {{values: Float64Array, log10: Float64Array}} Gains one per layer, NaN outside the interval */

/** Metrics that are recomputed for an interval. */
export const COMPOSITES = ['composite_gain_fwd', 'composite_gain_bwd'];

/** Return whether a metric is a product over layers. @param {string} key */
export const isComposite = (key) => COMPOSITES.some((name) => key.startsWith(name));

/** Caches the last gains of each stack: cards, readout and sentences need the same ones. @type {WeakMap<Matrix, {of: string, gains: Record<string, Gains>}>} */
const latest = new WeakMap();

/**
 * Return the runs with composite gains recomputed over the layers that the user chose; null if a run lacks the matrices. A run of several seeds lacks them:
 * its gains are medians, and it keeps the matrices of the first seed only.
 * @template {Columns | null} T
 * @param {T[]} results
 * @param {Interval} interval
 * @returns {T[] | null}
 */
export function recomputeComposites(results, interval) {
  if (!results.every((columns) => columns === null || canRecompute(columns))) return null;
  return results.map((columns) => columns && /** @type {T} */ (withComposites(columns, interval)));
}

/** Return whether composite gains can be recomputed: all matrices are here, and the gains are not medians over seeds. @param {Columns} columns */
function canRecompute(columns) {
  const { layers, matrices, bands } = columns;
  if (!COMPOSITES.some((key) => layers.has(key))) return true; // there are no gains yet that could be wrong
  return matrices.get('h_res')?.shape[0] === depthOf(columns) && !COMPOSITES.some((key) => bands.has(key));
}

/** Return the columns of a run with composite gains recomputed over the chosen layers. @param {Columns} columns @param {Interval} interval @returns {Columns} */
function withComposites(columns, interval) {
  const stack = columns.matrices.get('h_res');
  if (!stack || !COMPOSITES.some((key) => columns.layers.has(key))) return columns;
  const gains = intervalGains(stack, depthOf(columns), interval);
  const put = (/** @type {Map<string, any>} */ table, /** @type {keyof Gains} */ form) =>
    new Map([...table, ...COMPOSITES.map((key) => /** @type {[string, any]} */ ([key, gains[key][form]]))]);
  return { ...columns, layers: put(columns.layers, 'values'), log10: put(columns.log10, 'log10') };
}

/** Compute the gains of the product over an interval, by metric. @param {Matrix} stack @param {number} depth @param {Interval} interval @returns {Record<string, Gains>} */
function intervalGains(stack, depth, { first, last }) {
  const of = `${first}-${last}`;
  const known = latest.get(stack);
  if (known?.of === of) return known.gains;
  const n = stack.shape[2];
  const end = Math.min(last + 1, depth);
  const shape = [Math.max(0, end - first), n, n];
  const found = measureComposites({ shape, data: stack.data.slice(first * n * n, end * n * n) });
  const gains = Object.fromEntries(
    COMPOSITES.map((key) => {
      const { values, log10 } = toValues(found[key]);
      return [key, { values: placeInColumn(values, first, depth), log10: placeInColumn(log10, first, depth) }];
    }),
  );
  latest.set(stack, { of, gains });
  return gains;
}

/** Place the values of an interval into a column of all layers. @param {Float64Array} values @param {number} first @param {number} depth */
function placeInColumn(values, first, depth) {
  const column = new Float64Array(depth).fill(NaN);
  column.set(values, Math.min(first, depth - values.length));
  return column;
}
