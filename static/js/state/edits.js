/** Edits of the view: what is edited for which runs, how an edit is changed, and how it is undone. */

import { computed, signal } from '@preact/signals';
import { commit, dragTo } from './actions.js';
import * as state from './signals.js';
import {
  describeEdit,
  EDITS,
  listEdits,
  listOpenCuts,
  toEditsText,
  toggleCut,
  toggleRestore,
  whyNot,
} from './view/edits.js';
import { stackOf, TRACE } from './view/spec.js';

/** @typedef {import('../../types').Edit} Edit */
/** Edits that some runs share: those of one run, or the common ones (null). @typedef {number | null} Target */

/** What the last edits replaced, the latest last. @type {import('@preact/signals').Signal<{target: Target, text: string}[]>} */
const past = signal([]);
/** The edits before the current drag. @type {{target: Target, text: string} | null} */
let before = null;

/** Whether the last edit of this visit can be undone. */
export const canUndo = computed(() => past.value.length > 0);

/** Return the edits of a target as text. @param {Target} target */
function textOf(target) {
  const { base, runs } = state.settings.value;
  return String((target === null ? base[EDITS] : runs[target]?.own[EDITS]) ?? '');
}

/** Return the edits of a target, also those that are off. @param {Target} target */
export const editsOf = (target) => listEdits(textOf(target));

/** Return the target whose edits a run has: its own, else the common ones. @param {number | null} run */
export function targetOf(run) {
  const own = run === null ? undefined : state.settings.value.runs[run]?.own;
  return own && EDITS in own ? run : null;
}

/** List the targets that have edits: the common ones, and each run with its own. */
export const targets = computed(() => {
  const all = [null, ...state.settings.value.runs.keys()];
  return all.filter((target) => textOf(target) !== '');
});

/** List the edits that each run is computed with, with their places among those of its target. */
export const editsByRun = computed(() => {
  const view = state.settings.value;
  return view.runs.map((_, run) => {
    const found = editsOf(targetOf(run)).flatMap((edit, place) =>
      !edit.isOff && canEdit(run, edit) ? [{ edit, place }] : [],
    );
    const open = listOpenCuts(found.map(({ edit }) => edit));
    return found.map((item, index) => ({ ...item, isOpen: open.includes(index) }));
  });
});

/** List the runs that use a target's edits. @param {Target} target */
function runsOf(target) {
  const { runs } = state.settings.value;
  return [...runs.keys()].filter((run) => runs[run].kind !== TRACE && targetOf(run) === target);
}

/** List the runs of a target that cannot have an edit, with the reasons. @param {Target} target @param {Edit} edit */
export function listRefusing(target, edit) {
  const view = state.settings.value;
  return runsOf(target)
    .map((run) => ({ run, reason: whyNot(edit, stackOf(state.fields.value, view, view.runs[run])) }))
    .filter(({ reason }) => reason !== '');
}

/** Return whether a run can have an edit. @param {number} run @param {Edit} edit */
export function canEdit(run, edit) {
  const view = state.settings.value;
  const choice = view.runs[run];
  return Boolean(choice) && choice.kind !== TRACE && whyNot(edit, stackOf(state.fields.value, view, choice)) === '';
}

/** Write the edits of a target into the view. @param {Target} target @param {readonly Edit[] | string} edits */
function write(target, edits) {
  const text = typeof edits === 'string' ? edits : toEditsText(edits);
  if (target === null) state.setBase(EDITS, text);
  else state.setOwn(target, EDITS, text);
}

/** Change the edits of a target; undone by `undoEdit` and by Back. @param {Target} target @param {readonly Edit[]} edits */
export function setEdits(target, edits) {
  const text = textOf(target);
  const changed = toEditsText(edits);
  if (changed === text) return;
  past.value = [...past.value, { target, text }];
  commit(() => write(target, changed));
  announce(text, edits);
}

/** Change the edits during a drag. @param {Target} target @param {readonly Edit[]} edits */
export function dragEdits(target, edits) {
  before ??= { target, text: textOf(target) };
  if (toEditsText(edits) !== textOf(target)) dragTo(() => write(target, edits));
}

/** Finish a drag of edits. */
export function dropEdits() {
  if (!before) return;
  const { target, text } = before;
  before = null;
  if (textOf(target) !== text) past.value = [...past.value, { target, text }];
  commit();
  announce(text, editsOf(target));
}

/** Undo the last change of edits. */
export function undoEdit() {
  const last = past.value.at(-1);
  if (!last) return;
  past.value = past.value.slice(0, -1);
  const text = textOf(last.target);
  commit(() => write(last.target, last.text));
  announce(text, editsOf(last.target));
}

/** Cut a stream at a layer, or remove the cut that is there. @param {number | null} run whose edits are changed; null for the common ones @param {number} stream @param {number} layer */
export function cutStream(run, stream, layer) {
  const target = targetOf(run);
  if (isEditable(stream, layer)) setEdits(target, toggleCut(editsOf(target), stream, layer));
}

/** Restore a stream at a layer, or remove the restoring that is there. @param {number | null} run @param {number} stream @param {number} layer */
export function restoreStream(run, stream, layer) {
  const target = targetOf(run);
  if (isEditable(stream, layer)) setEdits(target, toggleRestore(editsOf(target), stream, layer));
}

/** Return whether a run has a stream at a layer; announce if none has. @param {number} stream @param {number} layer */
function isEditable(stream, layer) {
  /** @type {Edit} */
  const edit = { layers: [layer, layer], what: 'stream', index: stream, do: 'zero' };
  const isPossible = state.settings.value.runs.some((_, run) => canEdit(run, edit));
  if (!isPossible) state.announcement.value = `No run has a stream ${stream + 1} at layer ${layer + 1}.`;
  return isPossible;
}

/** Announce what a change of edits added or removed. @param {string} text of the edits before @param {readonly Edit[]} edits */
function announce(text, edits) {
  const sentences = (/** @type {readonly Edit[]} */ all) => all.filter(({ isOff }) => !isOff).map(describeEdit);
  const [old, now] = [sentences(listEdits(text)), sentences(edits)];
  const added = now.filter((words) => !old.includes(words));
  const removed = old.filter((words) => !now.includes(words));
  state.announcement.value = [
    ...added.map((words) => `${words}.`),
    ...(added.length === 0 ? removed.map((words) => `Removed: ${words}.`) : []),
  ].join(' ');
}

/** Whether the list of edits is shown. */
export const hasEdits = computed(() => targets.value.length > 0 || canUndo.value);
