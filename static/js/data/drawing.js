/** Which columns a panel draws, and when there is something new to draw. */

import { modelOf } from './record.js';
import { THEORY } from './sources.js';
import { atStep } from './steps.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('../../types').Figure} Figure @typedef {import('../state/signals.js').Slot} Slot */
/** What a figure draws of a run: `signature` changes with it. @typedef {{columns: Columns, label: string, signature: string}} Place */

/** What a template needs of a run: metrics, and whether laws. @param {Figure} template @param {number} run */
function keysOf(template, run) {
  const traces = template.data.filter((trace) => trace.meta.run === run);
  const hasLaws = traces.some((trace) =>
    Object.values(trace.meta.fill ?? {}).some((source) => source.startsWith('law.')),
  );
  return [...traces.map((trace) => trace.meta.key), ...(hasLaws ? [THEORY] : [])];
}

/** @param {Columns} columns @param {string[]} keys */
function hasAny(columns, keys) {
  return keys.some((key) => columns.layers.has(key) || columns.matrices.has(key) || columns.steps.has(key));
}

/** What is known at once of a run, where that is all there is of what is looked for. @param {Slot} slot @param {string[]} keys */
function knownOf({ known }, keys) {
  return known && !keys.some((key) => known.waits.has(key)) ? known : null;
}

/** The columns that numbers are read from: what the server has said in the end, else what is known of it at once. @param {Slot} slot @param {string[]} keys */
export function columnsOf(slot, keys) {
  const isOver = slot.columns.end?.status === 'done';
  return (isOver ? null : knownOf(slot, keys)) ?? slot.columns;
}

/**
 * What a place shows: its run, where that is over or has what is looked for, or what is known of it at once; else the latest of what
 * was there before that has it.
 * @param {Slot} slot
 * @param {(columns: Columns) => boolean} has
 */
export function shownOf(slot, has) {
  if (slot.columns.end?.status === 'done') return slot;
  const known = slot.known ? [{ ...slot, columns: slot.known }] : [];
  const found = [...known, slot].find((item) => has(item.columns));
  if (found || slot.columns.end !== null) return found ?? slot;
  return slot.before.find((item) => has(item.columns)) ?? slot;
}

/**
 * What a figure draws of each run. All change together: only where every run has something new for it, or is over, or is known at once.
 * Until then it stays what is drawn, for of runs that are gone nothing else is worth a drawing, or the latest that was there of all.
 * Where nothing was there before, each comes as it comes.
 * @param {Figure} template
 * @param {Slot[]} slots
 * @param {Place[]} drawn
 * @returns {{places: Place[], results: Columns[], labels: string[], isStale: boolean, isNew: boolean}} `isNew`: something that a server has just said
 */
export function choose(template, slots, drawn) {
  const keys = slots.map((_, run) => keysOf(template, run));
  const fresh = slots.map((slot, run) => freshOf(slot, keys[run]));
  const isComplete = fresh.every(Boolean);
  const isFirst = slots.every((slot) => slot.before.length === 0);
  const last = isComplete || isFirst ? -1 : lastOfAll(slots, keys);
  const places = slots.map((slot, run) => {
    const own = fresh[run] ?? toPlace(slot, keys[run]);
    if (isComplete || isFirst || slot.before.length === 0) return own;
    return drawn[run] ?? toPlace(slot.before[last] ?? shownOf(slot, (item) => hasAny(item, keys[run])), keys[run]);
  });
  return {
    places,
    results: places.map((place) => place.columns),
    labels: places.map((place) => place.label),
    isStale: places.some(({ columns }, run) => columns !== slots[run].columns && columns !== slots[run].known),
    isNew: (isComplete || isFirst) && slots.some((slot, run) => fresh[run]?.columns === slot.columns),
  };
}

/** What is new of a run; null while there is nothing. @param {Slot} slot @param {string[]} keys @returns {Place | null} */
function freshOf(slot, keys) {
  const { columns, label } = slot;
  const known = knownOf(slot, keys);
  const signature = known ? `known ${numberOf(known)} ${label}` : '';
  // What the server confirms is drawn already.
  if (columns.end?.status === 'done') return known ? { columns, label, signature } : toPlace(slot, keys);
  if (known) return { columns: known, label, signature };
  // A trace is drawn as far as it has come: what is missing may never come.
  const isThere = columns.end !== null || modelOf(columns) !== null || hasAny(columns, keys);
  return isThere ? toPlace(slot, keys) : null;
}

/** @param {{id: string, columns: Columns, label: string}} item @param {string[]} keys @returns {Place} */
function toPlace({ id, columns, label }, keys) {
  const versions = keys.map((key) => columns.versions.get(key) ?? 0);
  return { columns, label, signature: [id || numberOf(columns), label, columns.end !== null, ...versions].join(' ') };
}

/** Which of what was there before is the latest that all runs have; -1 where there is none. @param {Slot[]} slots @param {string[][]} keys */
function lastOfAll(slots, keys) {
  const count = Math.max(...slots.map((slot) => slot.before.length));
  const isWhole = (/** @type {number} */ place) =>
    slots.every(
      ({ before }, run) => before.length === 0 || (before[place] && hasAny(before[place].columns, keys[run])),
    );
  return [...new Array(count).keys()].findIndex(isWhole);
}

/** @type {WeakMap<Columns, number>} */
const numbers = new WeakMap();
let count = 0;

/** Tells columns apart that have no id yet. @param {Columns} columns */
function numberOf(columns) {
  const known = numbers.get(columns) ?? ++count;
  numbers.set(columns, known);
  return known;
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
