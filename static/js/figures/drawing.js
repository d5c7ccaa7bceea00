/** Selects the columns that a panel draws, and detects changes. */

import { hasMetric, modelOf } from '../data/record.js';
import { THEORY } from './sources.js';
import { atStep } from './steps.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('../../types').Figure} Figure @typedef {import('../state/signals.js').Slot} Slot */
/** Columns that a figure draws for a run; `signature` changes with them. @typedef {{columns: Columns, label: string, signature: string}} Place */

/** List the metrics that a template draws for a run, with `THEORY` if it draws laws. @param {Figure} template @param {number} run */
function keysOf(template, run) {
  const traces = template.data.filter((trace) => trace.meta.run === run);
  const hasLaws = traces.some((trace) =>
    Object.values(trace.meta.fill ?? {}).some((source) => source.startsWith('law.')),
  );
  return [...traces.map((trace) => trace.meta.key), ...(hasLaws ? [THEORY] : [])];
}

/** Return whether any of the metrics has data. @param {Columns} columns @param {string[]} keys */
function hasAnyMetric(columns, keys) {
  return keys.some((key) => hasMetric(columns, key));
}

/** Return the columns that the page derived for a run; null if one of these metrics waits for the server. @param {Slot} slot @param {string[]} keys */
function derivedOf({ derived }, keys) {
  return derived && !keys.some((key) => derived.waits.has(key)) ? derived : null;
}

/** Return the columns to read numbers from: those of the finished run, else the derived ones. @param {Slot} slot @param {string[]} keys */
export function columnsOf(slot, keys) {
  const isDone = slot.columns.end?.status === 'done';
  return (isDone ? null : derivedOf(slot, keys)) ?? slot.columns;
}

/**
 * Return what a slot of the page draws: its run if that is done or has the data, or its derived columns; else its latest earlier run that has the data.
 * @param {Slot} slot
 * @param {(columns: Columns) => boolean} has
 */
export function shownOf(slot, has) {
  if (slot.columns.end?.status === 'done') return slot;
  const derived = slot.derived ? [{ ...slot, columns: slot.derived }] : [];
  const found = [...derived, slot].find((item) => has(item.columns));
  if (found || slot.columns.end !== null) return found ?? slot;
  return slot.before.find((item) => has(item.columns)) ?? slot;
}

/** Return whether columns that `shownOf` chose are those of an earlier run, because the slot's own lack the data. @param {Slot} slot @param {Columns} columns */
export const isEarlier = (slot, columns) => columns !== slot.columns && columns !== slot.derived;

/**
 * Choose what a figure draws for each run. All runs change together: only if each has new data, is done, or has derived columns. Until then the figure stays unchanged, or shows the latest earlier state that all runs have. On a first visit each run is drawn as its data arrives.
 * @param {Figure} template
 * @param {Slot[]} slots
 * @param {Place[]} drawn
 * @returns {{places: Place[], results: Columns[], labels: string[], isStale: boolean, isNew: boolean}} `isNew`: new data from the server
 */
export function chooseDrawn(template, slots, drawn) {
  const keys = slots.map((_, run) => keysOf(template, run));
  const fresh = slots.map((slot, run) => newDataOf(slot, keys[run]));
  const isComplete = fresh.every(Boolean);
  const isFirst = slots.every((slot) => slot.before.length === 0);
  const last = isComplete || isFirst ? -1 : lastOfAll(slots, keys);
  const places = slots.map((slot, run) => {
    const own = fresh[run] ?? describeColumns(slot, keys[run]);
    if (isComplete || isFirst || slot.before.length === 0) return own;
    return (
      drawn[run] ??
      describeColumns(slot.before[last] ?? shownOf(slot, (item) => hasAnyMetric(item, keys[run])), keys[run])
    );
  });
  return {
    places,
    results: places.map((place) => place.columns),
    labels: places.map((place) => place.label),
    isStale: places.some(({ columns }, run) => columns !== slots[run].columns && columns !== slots[run].derived),
    isNew: (isComplete || isFirst) && slots.some((slot, run) => fresh[run]?.columns === slot.columns),
  };
}

/** Return the columns of a run if they have data that the figure does not show yet, else null. @param {Slot} slot @param {string[]} keys @returns {Place | null} */
function newDataOf(slot, keys) {
  const { columns, label } = slot;
  const derived = derivedOf(slot, keys);
  const signature = derived ? `known ${identifyColumns(derived)} ${label}` : '';
  // Derived columns are drawn already, so a finished run keeps their signature.
  if (columns.end?.status === 'done') return derived ? { columns, label, signature } : describeColumns(slot, keys);
  if (derived) return { columns: derived, label, signature };
  // Draw a recording as far as it has arrived: the missing metrics may never arrive.
  const isDrawable = columns.end !== null || modelOf(columns) !== null || hasAnyMetric(columns, keys);
  return isDrawable ? describeColumns(slot, keys) : null;
}

/** Return the columns of a run with a signature that changes whenever the drawn metrics change. @param {{id: string, columns: Columns, label: string}} item @param {string[]} keys @returns {Place} */
function describeColumns({ id, columns, label }, keys) {
  const versions = keys.map((key) => columns.versions.get(key) ?? 0);
  return {
    columns,
    label,
    signature: [id || identifyColumns(columns), label, columns.end !== null, ...versions].join(' '),
  };
}

/** Find the latest earlier state that all runs have; -1 if there is none. @param {Slot[]} slots @param {string[][]} keys */
function lastOfAll(slots, keys) {
  const count = Math.max(...slots.map((slot) => slot.before.length));
  const hasEarlier = (/** @type {number} */ place) =>
    slots.every(
      ({ before }, run) => before.length === 0 || (before[place] && hasAnyMetric(before[place].columns, keys[run])),
    );
  return [...new Array(count).keys()].findIndex(hasEarlier);
}

/** Ids of columns of runs that have none. @type {WeakMap<Columns, number>} */
const columnIds = new WeakMap();
let count = 0;

/** Return an id of columns whose run has none yet, so that signatures distinguish them. @param {Columns} columns */
function identifyColumns(columns) {
  const known = columnIds.get(columns) ?? ++count;
  columnIds.set(columns, known);
  return known;
}

/** Return whether the forward curves of all runs are complete, or the runs ended. @param {Slot[]} slots */
export function areForwardCurvesComplete(slots) {
  return slots.every(({ columns }) => columns.loss !== null || columns.end !== null);
}

/** Return a slot whose columns, also those of earlier runs, are replaced by those at a training step. @param {Slot} slot @param {number} step @param {Figure} template */
export function slotAtStep(slot, step, template) {
  const rules = template.layout.meta.rules.steps;
  const before = slot.before.map((item) => ({ ...item, columns: atStep(item.columns, step, rules) }));
  return { ...slot, columns: atStep(slot.columns, step, rules), before };
}
