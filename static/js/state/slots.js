/** The places of the compared runs: what each shows, and what it showed before. */

import { createColumns } from '../data/columns.js';
import { modelOf } from '../data/record.js';
import { findDifferences } from '../instant/agree.js';
import { boot } from './boot.js';
import { recallRecord } from './kept.js';
import * as state from './signals.js';
import { TRACE } from './view/spec.js';
import { isTraceRequest } from './view/traces.js';

/** @typedef {import('./signals.js').Slot} Slot @typedef {import('../../types').Columns} Columns */

/**
 * @param {string[]} ids
 * @param {string[]} labels
 * @param {(number | null)[]} [positions] in the queue
 * @param {string[]} [requestKeys] what each place was asked for; stored runs were not
 */
export function install(ids, labels, positions, requestKeys) {
  /** @type {Map<string, Columns>} */
  const fresh = new Map();
  const old = state.slots.value;
  const before = listBefore();
  state.hasMoved.value = false;
  state.slots.value = ids.map((id, index) => {
    const isAnswer = old[index]?.id === '' && old[index].requestKey === requestKeys?.[index]; // to what is shown at once
    const begun = isAnswer ? old[index].columns : createColumns();
    const columns = recallRecord(id) ?? fresh.get(id) ?? growing(id) ?? begun;
    fresh.set(id, columns);
    return {
      id,
      requestKey: requestKeys?.[index],
      label: labels[index],
      columns,
      place: positions?.[index] ?? null,
      known: isAnswer ? old[index].known : null,
      // A trace stays as it is: nothing else stood in its place.
      before: isTraceRequest(requestKeys?.[index]) ? [] : ((isAnswer ? old[index].before : before[index]) ?? []),
    };
  });
  noteTraces();
}

/** What is here of a trace that is still written. @param {string} id @returns {Columns | undefined} */
function growing(id) {
  return state.slots.value.find((slot) => slot.id === id && isTrace(slot))?.columns;
}

/** Whether a place is that of a trace. @param {Slot} slot */
export const isTrace = ({ requestKey, columns }) => isTraceRequest(requestKey) || modelOf(columns) !== null;

/** Whether all that is here of a run are the first layers of one that is less deep. @param {Pick<Slot, 'id' | 'columns' | 'known'>} item */
export const isBeginning = ({ id, columns, known }) => id === '' && known === null && columns.start !== null;

/** What is here of a trace without asking; null where nothing is. @param {string} id @returns {{id: string, columns: Columns, known: null} | null} */
export function recallTrace(id) {
  const columns = recallRecord(id) ?? growing(id);
  return columns ? { id, columns, known: null } : null;
}

/** Let the view and its labels say which runs are traces, as their start frames do. */
export function noteTraces() {
  const models = state.slots.value.map((slot) => modelOf(slot.columns));
  if (models.join() === state.models.value.join()) return;
  const { runs } = state.view.value;
  state.batch(() => {
    state.models.value = models;
    if (models.some(Boolean))
      state.view.value = {
        ...state.view.value,
        runs: models.map((model, run) => toChoice(model, state.slots.value[run].id, runs[run])),
      };
    state.slots.value = state.slots.value.map((slot, run) => ({ ...slot, label: state.labels.value[run] }));
  });
}

/** @param {string | null} model @param {string} id @param {import('../../types').Choice | undefined} known @returns {import('../../types').Choice} */
function toChoice(model, id, known) {
  if (model === null) return known ?? { kind: TRACE, own: {} };
  if (known?.trace === id) return known;
  return { kind: TRACE, own: {}, ...(known?.name ? { name: known.name } : {}), trace: id };
}

/**
 * What the places show, for those that follow. Of runs that were broken off, as in a drag, what they have stays in sight; what they have
 * not, as all were before that. Alike for all runs, so that a figure can take one moment's of each.
 * @returns {Slot['before'][]}
 */
function listBefore() {
  const slots = state.slots.value;
  const isWhole = isDone(slots);
  return slots.map(({ id, columns, label, known, before }) => [
    { id, columns, label },
    ...(known ? [{ id, columns: known, label }] : []),
    ...(isWhole ? [] : before.slice(-1)),
  ]);
}

/** The runs that were shown last as wholes. @type {Slot[]} */
let whole = [];

/** Remember the runs that are shown, if all of them are done. */
export function noteWhole() {
  const slots = state.slots.value;
  if (isDone(slots)) whole = slots;
}

/** Show the last whole runs again in place of runs that were refused: a part of these would stay a part. */
export function restoreWhole() {
  if (whole.length > 0 && !isDone(state.slots.value)) state.slots.value = whole;
}

/** @param {Slot[]} slots */
const isDone = (slots) => slots.every(({ columns }) => columns.end?.status === 'done');

/** What was shown at once must be what the server says; it is dropped where it is not. @param {Slot} slot @returns {Slot} */
export function confirm(slot) {
  if (!slot.known || slot.columns.end?.status !== 'done') return slot;
  const differences = findDifferences(slot.known, slot.columns, boot.rules.at_once);
  if (differences.length === 0) return slot;
  console.error(`Shown at once of run ${slot.id}, and not what the server says: ${differences.join('; ')}`);
  return { ...slot, known: null };
}

/** @param {{run: string, position: number | null}} status */
export function setPlace({ run, position }) {
  state.slots.value = state.slots.value.map((slot) => (slot.id === run ? { ...slot, place: position } : slot));
}

/** What is known of runs that no one has computed. @param {string[]} requestKeys @param {ReturnType<typeof import('./kept.js').recallSpec>[]} known none is null */
export function installKnown(requestKeys, known) {
  const before = listBefore();
  state.batch(() => {
    state.hasMoved.value = false;
    state.slots.value = known.map((item, run) => ({
      .../** @type {NonNullable<typeof item>} */ (item),
      requestKey: requestKeys[run],
      label: state.labels.value[run],
      place: null,
      before: isTraceRequest(requestKeys[run]) ? [] : (before[run] ?? []),
    }));
    noteTraces();
  });
}
