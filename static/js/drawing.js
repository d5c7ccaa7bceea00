/** Which columns a panel draws, and when there is something new to draw. */

import { atStep } from './steps.js';

/** @typedef {import('../types').Columns} Columns @typedef {import('../types').Figure} Figure @typedef {import('./state.js').Slot} Slot */

/** The metrics that a template needs of a run. @param {Figure} template @param {number} run */
function keysOf(template, run) {
  return template.data.filter((trace) => trace.meta.run === run).map((trace) => trace.meta.key);
}

/** @param {Columns} columns @param {string[]} keys */
function hasAny(columns, keys) {
  return keys.some((key) => columns.layers.has(key) || columns.matrices.has(key) || columns.steps.has(key));
}

/**
 * For each place the new columns if they have anything for this panel or have ended, else what was there before.
 * @param {Figure} template
 * @param {Slot[]} slots
 * @returns {{results: Columns[], labels: string[], isStale: boolean, isNew: boolean, signature: string}} `isNew`: something of the new columns
 */
export function choose(template, slots) {
  let isStale = false;
  let isAnyNew = false;
  const parts = [];
  const results = [];
  const labels = [];
  for (const [run, slot] of slots.entries()) {
    const keys = keysOf(template, run);
    const isNew = hasAny(slot.columns, keys) || slot.columns.end !== null;
    const { columns, label } = (isNew ? null : slot.previous) ?? slot;
    isStale ||= columns !== slot.columns;
    isAnyNew ||= isNew;
    results.push(columns);
    labels.push(label);
    parts.push(slot.id, isNew, label, columns.end !== null, ...keys.map((key) => columns.versions.get(key) ?? 0));
  }
  return { results, labels, isStale, isNew: isAnyNew, signature: parts.join(' ') };
}

/** @param {Slot} slot @param {number} step */
export function slotAt(slot, step) {
  const previous = slot.previous && { ...slot.previous, columns: atStep(slot.previous.columns, step) };
  return { ...slot, columns: atStep(slot.columns, step), previous };
}
