/** Which columns a panel draws, and when there is something new to draw. */

import { atStep } from './steps.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('../../types').Figure} Figure @typedef {import('../state/signals.js').Slot} Slot */
/** What a figure draws of a run: `signature` changes with it. @typedef {{columns: Columns, label: string, signature: string}} Place */

/** The metrics that a template needs of a run. @param {Figure} template @param {number} run */
function keysOf(template, run) {
  return template.data.filter((trace) => trace.meta.run === run).map((trace) => trace.meta.key);
}

/** @param {Columns} columns @param {string[]} keys */
function hasAny(columns, keys) {
  return keys.some((key) => columns.layers.has(key) || columns.matrices.has(key) || columns.steps.has(key));
}

/**
 * What a place shows: its run, where that is over or has what is looked for, else the latest of what was there before that has it.
 * @param {Slot} slot
 * @param {(columns: Columns) => boolean} has
 */
export function shownOf(slot, has) {
  if (slot.columns.end !== null) return slot;
  return [slot, ...slot.before].find((item) => has(item.columns)) ?? slot;
}

/**
 * For each place the new columns if they have anything for this panel or have ended; else what is drawn, for of runs that are gone
 * nothing else is worth a drawing; else the latest of what was there before.
 * @param {Figure} template
 * @param {Slot[]} slots
 * @param {Place[]} drawn
 * @returns {{places: Place[], results: Columns[], labels: string[], isStale: boolean, isNew: boolean}} `isNew`: something of the new columns
 */
export function choose(template, slots, drawn) {
  let isStale = false;
  let isNew = false;
  const places = slots.map((slot, run) => {
    const keys = keysOf(template, run);
    const hasNew = slot.columns.end !== null || hasAny(slot.columns, keys);
    isNew ||= hasNew;
    if (!hasNew && drawn[run]) {
      isStale = true;
      return drawn[run];
    }
    const { id, columns, label } = shownOf(slot, (item) => hasAny(item, keys));
    isStale ||= columns !== slot.columns;
    const versions = keys.map((key) => columns.versions.get(key) ?? 0);
    return { columns, label, signature: [id, label, columns.end !== null, ...versions].join(' ') };
  });
  return {
    places,
    results: places.map((place) => place.columns),
    labels: places.map((place) => place.label),
    isStale,
    isNew,
  };
}

/** Whether every run has gone up its stack, or ended: their curves are then whole. @param {Slot[]} slots */
export function haveClimbed(slots) {
  return slots.every(({ columns }) => columns.loss !== null || columns.end !== null);
}

/** What a figure draws of a place at a step of training. @param {Slot} slot @param {number} step @param {Figure} template */
export function slotAt(slot, step, template) {
  const rules = template.layout.meta.rules.steps;
  const before = slot.before.map((item) => ({ ...item, columns: atStep(item.columns, step, rules) }));
  return { ...slot, columns: atStep(slot.columns, step, rules), before };
}
