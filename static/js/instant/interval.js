/** Composites of chosen layers alone: forward from the first of them, backward from the last. `mhc_core/figures/fill/parts.py` says the same. */

import { depthOf } from '../data/record.js';
import { measureComposites, toValues } from './products.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('../../types').Matrix} Matrix @typedef {{first: number, last: number}} Interval layers from 0 */
/** @typedef {{values: Float64Array, log10: Float64Array}} Gains one a layer, NaN outside of the interval */

/** What is counted anew of chosen layers. */
export const COMPOSITES = ['composite_gain_fwd', 'composite_gain_bwd'];

/** Whether a metric is a product over layers. @param {string} key */
export const isComposite = (key) => COMPOSITES.some((name) => key.startsWith(name));

/** Of each stack the gains that were asked for last: a card, the readout and a sentence ask for the same. @type {WeakMap<Matrix, {of: string, gains: Record<string, Gains>}>} */
const latest = new WeakMap();

/**
 * The runs with the composites of these layers; null where not all of them can tell. A run of several seeds cannot: its composites are
 * medians, and it keeps the matrices of the first seed alone.
 * @template {Columns | null} T
 * @param {T[]} results
 * @param {Interval} interval
 * @returns {T[] | null}
 */
export function recomputeComposites(results, interval) {
  if (!results.every((columns) => columns === null || canRecompute(columns))) return null;
  return results.map((columns) => columns && /** @type {T} */ (withComposites(columns, interval)));
}

/** @param {Columns} columns */
function canRecompute(columns) {
  const { layers, matrices, bands } = columns;
  if (!COMPOSITES.some((key) => layers.has(key))) return true; // nothing is there yet
  return matrices.get('h_res')?.shape[0] === depthOf(columns) && !COMPOSITES.some((key) => bands.has(key));
}

/** @param {Columns} columns @param {Interval} interval @returns {Columns} */
function withComposites(columns, interval) {
  const stack = columns.matrices.get('h_res');
  if (!stack || !COMPOSITES.some((key) => columns.layers.has(key))) return columns;
  const gains = gainsOf(stack, depthOf(columns), interval);
  const put = (/** @type {Map<string, any>} */ table, /** @type {keyof Gains} */ form) =>
    new Map([...table, ...COMPOSITES.map((key) => /** @type {[string, any]} */ ([key, gains[key][form]]))]);
  return { ...columns, layers: put(columns.layers, 'values'), log10: put(columns.log10, 'log10') };
}

/** @param {Matrix} stack @param {number} depth @param {Interval} interval @returns {Record<string, Gains>} */
function gainsOf(stack, depth, { first, last }) {
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
      return [key, { values: place(values, first, depth), log10: place(log10, first, depth) }];
    }),
  );
  latest.set(stack, { of, gains });
  return gains;
}

/** @param {Float64Array} values @param {number} first @param {number} depth */
function place(values, first, depth) {
  const column = new Float64Array(depth).fill(NaN);
  column.set(values, Math.min(first, depth - values.length));
  return column;
}
