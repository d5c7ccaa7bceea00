/** Slots of the compared runs: what each shows, and what it showed before. */

import { createColumns } from '../data/columns.js';
import { modelOf, recordedEditsOf } from '../data/record.js';
import { findDifferences } from '../derived/agree.js';
import { boot } from './boot.js';
import { recallRecord } from './records.js';
import * as state from './signals.js';
import { TRACE } from './spec.js';
import { isTraceRequest } from './viewtraces.js';

/** @typedef {import('./signals.js').Slot} Slot @typedef {import('../../types').Columns} Columns */

/**
 * Show runs by id in the slots of the page.
 * @param {string[]} ids
 * @param {string[]} labels
 * @param {(number | null)[]} [positions] in the queue
 * @param {string[]} [requestKeys] undefined for the runs of a snapshot
 */
export function showRunsById(ids, labels, positions, requestKeys) {
  /** @type {Map<string, Columns>} */
  const fresh = new Map();
  const old = state.slots.value;
  const before = listBefore();
  state.hasDrawn.value = false;
  state.slots.value = ids.map((id, index) => {
    const isResponse = old[index]?.id === '' && old[index].requestKey === requestKeys?.[index]; // response for a slot that shows derived columns
    const begun = isResponse ? old[index].columns : createColumns();
    const columns = recallRecord(id) ?? fresh.get(id) ?? growingColumns(id) ?? begun;
    fresh.set(id, columns);
    return {
      id,
      requestKey: requestKeys?.[index],
      label: labels[index],
      columns,
      place: positions?.[index] ?? null,
      derived: isResponse ? old[index].derived : null,
      // Recordings do not change, so there is no earlier state.
      before: isTraceRequest(requestKeys?.[index]) ? [] : ((isResponse ? old[index].before : before[index]) ?? []),
    };
  });
  updateModels();
}

/** Return the columns of a recording that is still being written; undefined if no slot shows the recording. @param {string} id @returns {Columns | undefined} */
function growingColumns(id) {
  return state.slots.value.find((slot) => slot.id === id && isTrace(slot))?.columns;
}

/** Return whether a slot shows a recording. @param {Slot} slot */
export const isTrace = ({ requestKey, columns }) => isTraceRequest(requestKey) || modelOf(columns) !== null;

/** Return whether only the first layers of a run are known, from a shallower one. @param {Pick<Slot, 'id' | 'columns' | 'derived'>} item */
export const isBeginning = ({ id, columns, derived }) => id === '' && derived === null && columns.start !== null;

/** Return the known columns of a recording; null if there are none. @param {string} id @returns {{id: string, columns: Columns, derived: null} | null} */
export function recallTrace(id) {
  const columns = recallRecord(id) ?? growingColumns(id);
  return columns ? { id, columns, derived: null } : null;
}

/** Update view and labels with the recordings that start frames name. */
export function updateModels() {
  const models = state.slots.value.map((slot) => modelOf(slot.columns));
  const edits = state.slots.value.map((slot) => recordedEditsOf(slot.columns));
  const isKnown = JSON.stringify([models, edits]) === JSON.stringify([state.models.value, state.recordedEdits.value]);
  if (isKnown || state.isOutdated.value) return; // runs of other settings keep their labels
  const { runs } = state.view.value;
  state.batch(() => {
    state.models.value = models;
    state.recordedEdits.value = edits;
    if (models.some(Boolean))
      state.view.value = {
        ...state.view.value,
        runs: models.map((model, run) => toChoice(model, state.slots.value[run].id, runs[run])),
      };
    state.slots.value = state.slots.value.map((slot, run) => ({ ...slot, label: state.labels.value[run] }));
  });
}

/** Build the settings of the run in a slot. @param {string | null} model @param {string} id @param {import('../../types').Choice | undefined} known @returns {import('../../types').Choice} */
function toChoice(model, id, known) {
  if (model === null) return known ?? { kind: TRACE, own: {} };
  if (known?.trace === id) return known;
  return { kind: TRACE, own: {}, ...(known?.name ? { name: known.name } : {}), trace: id };
}

/**
 * Return for each slot the columns that figures show until the next run at its index has its own: those of the present run, those derived from it and, unless all runs are done, the last of the earlier ones.
 * @returns {Slot['before'][]}
 */
function listBefore() {
  const slots = state.slots.value;
  const areDone = areAllDone(slots);
  return slots.map(({ id, columns, label, derived, before }) => [
    { id, columns, label },
    ...(derived ? [{ id, columns: derived, label }] : []),
    ...(areDone ? [] : before.slice(-1)),
  ]);
}

/** The last slots in which all runs were done. @type {Slot[]} */
let lastComplete = [];

/** Remember the slots if all runs are done. */
export function keepCompleteSlots() {
  const slots = state.slots.value;
  if (areAllDone(slots)) lastComplete = slots;
}

/** Restore the last complete slots after a refusal: the refused runs will never be complete. */
export function restoreComplete() {
  if (lastComplete.length > 0 && !areAllDone(state.slots.value)) state.slots.value = lastComplete;
}

/** Return whether all runs are done. @param {Slot[]} slots */
const areAllDone = (slots) => slots.every(({ columns }) => columns.end?.status === 'done');

/** Compare the derived columns of a slot with the server's; drop the derived ones if they differ. @param {Slot} slot @returns {Slot} */
export function confirmDerived(slot) {
  if (!slot.derived || slot.columns.end?.status !== 'done') return slot;
  const differences = findDifferences(slot.derived, slot.columns, boot.rules.derivation);
  if (differences.length === 0) return slot;
  console.error(`Derived columns of run ${slot.id} differ from the server's: ${differences.join('; ')}`);
  return { ...slot, derived: null };
}

/** Set the position of a run in the queue. @param {{run: string, position: number | null}} status */
export function setPlace({ run, position }) {
  state.slots.value = state.slots.value.map((slot) => (slot.id === run ? { ...slot, place: position } : slot));
}

/** Show columns that were derived without the server as the runs of the view. @param {string[]} requestKeys @param {ReturnType<typeof import('./records.js').recallColumnsFor>[]} derived none is null */
export function showDerivedColumns(requestKeys, derived) {
  const before = listBefore();
  state.batch(() => {
    state.hasDrawn.value = false;
    state.slots.value = derived.map((item, run) => ({
      .../** @type {NonNullable<typeof item>} */ (item),
      requestKey: requestKeys[run],
      label: state.labels.value[run],
      place: null,
      before: isTraceRequest(requestKeys[run]) ? [] : (before[run] ?? []),
    }));
    updateModels();
  });
}
