/** Computes the numbers of the results table; each is defined once here. No browser here. */

import { gainOf } from '../data/gain.js';
import { statusText, UNKNOWN } from '../data/numbers.js';
import { depthOf } from '../data/record.js';
import { lookUp } from '../figures/sources.js';
import { recomputeComposites } from './interval.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('./interval.js').Interval} Interval */
/**
 * A number as log10; null if unknown, with the reason in `why`. `curve` holds log10 over the layers.
 * @typedef {{log10: number | null, why: string, curve: (number | null)[]}} Number10
 */
/**
 * `forward` and `backward`: the largest gain over the layers. `activation`: rms at the last layer. `gradient`: rms at the first layer
 * divided by rms at the last. `loss`: after training, with its curve over the steps. For several seeds all but the loss come from the medians.
 * @typedef {{forward: Number10, backward: Number10, activation: Number10, gradient: Number10, loss: {value: number | null, curve: (number | null)[]}}} Measured
 */

/**
 * Measure the numbers of a run that the table of results shows: gains, activation, gradient, loss.
 * @param {Columns} columns
 * @param {Interval | null} interval the chosen layers; null for all
 * @returns {Measured}
 */
export function measureRun(columns, interval) {
  const toGain = interval ? gainOfInterval(columns, interval) : (/** @type {Key} */ key) => gainOfAll(columns, key);
  const last = Math.min(interval?.last ?? Infinity, depthOf(columns) - 1);
  const first = Math.min(interval?.first ?? 0, last);
  const loss = columns.steps.get('step_loss');
  return {
    forward: toGain('composite_gain_fwd'),
    backward: toGain('composite_gain_bwd'),
    activation: measureCurve(columns, 'act_rms', (logs) => logs[last], last),
    gradient: measureCurve(columns, 'grad_rms', (logs) => subtract(logs[first], logs[last]), first, last),
    loss: {
      value: columns.loss,
      curve: loss ? [...loss.data].map((value) => (Number.isFinite(value) ? value : null)) : [],
    },
  };
}

/** Compute how far training moved the mixing: the root mean square change of the entries of H_res; null without training, or for one stream. @param {Columns} columns @returns {number | null} */
export function measureDrift({ start, kept, keptSteps, matrices }) {
  const [before, after] = [kept.get('step_h_res')?.[0], matrices.get('h_res')];
  if (start?.streams === 1 || keptSteps[0] !== 0 || !before || !after) return null;
  const squares = Array.from(after.data, (value, k) => (value - before.data[k]) ** 2);
  const drift = Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / squares.length);
  return Number.isFinite(drift) ? drift : null;
}

/** @typedef {'composite_gain_fwd' | 'composite_gain_bwd'} Key */

/** Return a function that computes gains of the product of chosen layers; unknown for several seeds. @param {Columns} columns @param {Interval} interval @returns {(key: Key) => Number10} */
function gainOfInterval(columns, { first, last }) {
  const [recomputed] = recomputeComposites([columns], { first, last }) ?? [];
  if (!recomputed) return () => ({ log10: null, why: 'unknown for these layers', curve: [] });
  /** Cut a column to the interval. @template T @param {Map<string, T>} table @param {Key} key */
  const cut = (table, key) => new Map([...table, [key, /** @type {any} */ (table.get(key))?.slice(first, last + 1)]]);
  return (key) =>
    gainOfAll({ ...recomputed, layers: cut(recomputed.layers, key), log10: cut(recomputed.log10, key) }, key);
}

/** Return the largest gain of a run over all layers. @param {Columns} columns @param {Key} key @returns {Number10} */
function gainOfAll(columns, key) {
  const values = /** @type {Float64Array | undefined} */ (columns.layers.get(key));
  const isZero = values !== undefined && values.length > 0 && values.every((value) => value === 0);
  return { log10: gainOf(columns, key), why: isZero ? '0' : reasonOf(columns, key), curve: logsOf(columns, key) };
}

/** Compute one number from the curve of a metric, with the reason if there is none. @param {Columns} columns @param {string} key @param {(logs: (number | null)[]) => number | null | undefined} reduce @param {number[]} layers that it reads @returns {Number10} */
function measureCurve(columns, key, reduce, ...layers) {
  const curve = logsOf(columns, key);
  return { log10: reduce(curve) ?? null, why: reasonOf(columns, key, layers), curve };
}

/** Subtract; null if either is unknown. @param {number | null | undefined} one @param {number | null | undefined} other */
const subtract = (one, other) => (one == null || other == null ? null : one - other);

/** Return log10 of a metric over layers, the median for several seeds. @param {Columns} columns @param {string} key @returns {(number | null)[]} */
export const logsOf = (columns, key) => lookUp(`middle.log10.${key}`, columns, '', 0) ?? [];

/** Describe why a metric has no number: the first status among the layers. @param {Columns} columns @param {string} key @param {number[]} [layers] default all */
function reasonOf(columns, key, layers) {
  const flags = [...(columns.status.get(key) ?? [])];
  const found = flags.find(([layer]) => !layers || layers.includes(layer));
  return found ? statusText(found[1]) : UNKNOWN;
}
