/** Edits of the view: what is edited for which runs, how an edit is changed, and how it is undone. */

import { computed, signal } from '@preact/signals';
import { hasServer } from '../net/sent.js';
import { commit, dragTo } from './actions.js';
import { boot } from './boot.js';
import { requestPressed } from './early.js';
import {
  ATLAS,
  CUTS,
  describeEdit,
  EDITS,
  listEdits,
  listOpenCuts,
  toEditsText,
  toggleEdit,
  whyNot,
} from './editlist.js';
import { deriveAhead } from './records.js';
import * as state from './signals.js';
import { stackOf, TRACE, toSpecs } from './spec.js';

/** @typedef {import('../../types').Edit} Edit */
/** Deriving more layers takes longer than a frame, which a moving pointer would notice. */
const MOST_LAYERS = 256;

/** Edits that some runs share: those of one run, or the common ones (null). @typedef {number | null} Target */

/** The last changes of edits, the latest last: the edits before and after each. `text` is undefined for a run that had none of its own. @type {import('@preact/signals').Signal<{target: Target, text: string | undefined, after: string}[]>} */
const past = signal([]);
/** The edits before the current drag. @type {{target: Target, text: string | undefined} | null} */
let before = null;

/** Return the edits of a target as text; undefined for a run without edits of its own. @param {Target} target */
function readText(target) {
  const { base, runs } = state.settings.value;
  const text = target === null ? (base[EDITS] ?? '') : runs[target]?.own[EDITS];
  return text === undefined ? undefined : String(text);
}

/** Return the edits of a target as text. @param {Target} target */
const textOf = (target) => readText(target) ?? '';

/** The last change that can be undone: not one that Back has undone already. */
const lastChange = computed(() => past.value.findLast(({ target, after }) => textOf(target) === after));
export const canUndo = computed(() => lastChange.value !== undefined);

/** Return the edits of a target, also those that are off. @param {Target} target */
export const editsOf = (target) => listEdits(textOf(target));

/** Return the edits of a run: its own, else the common ones. @param {number} run */
export const ownEdits = (run) => editsOf(targetOf(run));

/** Return the target of a run's edits: the run if it has its own, else null for the common ones. @param {number | null} run */
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
      !edit.isOff && fitsRun(run, edit) ? [{ edit, place }] : [],
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

/** List the runs that are computed without some of a target's edits, with the reasons. @param {Target} target */
export function listRefusing(target) {
  const view = state.settings.value;
  const edits = editsOf(target).filter(({ isOff }) => !isOff);
  return runsOf(target).flatMap((run) => {
    const stack = stackOf(state.fields.value, view, view.runs[run]);
    const reasons = edits.map((edit) => whyNot(edit, stack));
    const refused = edits.flatMap((_, place) => (reasons[place] ? [place] : []));
    const isAll = refused.length === edits.length;
    return refused.length > 0 ? [{ run, reason: reasons[refused[0]], refused: isAll ? null : refused }] : [];
  });
}

/** Whether edits can be changed here: an edited run has to be computed, which neither an embed nor a page without a server can. */
export const isComputing = hasServer && boot.page !== 'embed';

/** Return whether a user can give a run an edit. @param {number} run @param {Edit} edit */
export const canEdit = (run, edit) => isComputing && fitsRun(run, edit);

/** Return whether an edit fits the stack of a run. @param {number} run @param {Edit} edit */
function fitsRun(run, edit) {
  const view = state.settings.value;
  const choice = view.runs[run];
  return Boolean(choice) && choice.kind !== TRACE && whyNot(edit, stackOf(state.fields.value, view, choice)) === '';
}

/** Return the view with other edits of a target. @param {Target} target @param {string | undefined} text undefined: the run uses the common ones */
const withEdits = (target, text) =>
  target === null
    ? state.withBase(state.view.value, EDITS, text ?? '')
    : state.withOwn(state.view.value, target, EDITS, text);

/** Write the edits of a target into the view. @param {Target} target @param {string | undefined} text undefined: the run uses the common ones */
function writeEdits(target, text) {
  state.view.value = withEdits(target, text);
}

/** Change the edits of a target; undone by `undoEdit` and by Back. @param {Target} target @param {readonly Edit[]} edits */
export function setEdits(target, edits) {
  const text = readText(target);
  const changed = toEditsText(edits);
  if (changed === text) return;
  past.value = [...past.value, { target, text, after: changed }];
  commit(() => writeEdits(target, changed));
  announceChange(text, edits);
}

/** Change the edits during a drag. @param {Target} target @param {readonly Edit[]} edits */
export function dragEdits(target, edits) {
  before ??= { target, text: readText(target) };
  const text = toEditsText(edits);
  if (text !== readText(target)) dragTo(() => writeEdits(target, text));
}

/** Finish a drag of edits: what changed can be undone, and is announced. */
export function finishEditDrag() {
  if (!before) return;
  const { target, text } = before;
  before = null;
  const after = textOf(target);
  if (after !== text) past.value = [...past.value, { target, text, after }];
  commit();
  announceChange(text, editsOf(target));
}

/** Undo the last change of edits. */
export function undoEdit() {
  const last = lastChange.value;
  if (!last) return;
  past.value = past.value.slice(0, past.value.indexOf(last));
  const text = textOf(last.target);
  commit(() => writeEdits(last.target, last.text));
  announceChange(text, editsOf(last.target));
}

/** Cut (`zero`) or restore a stream at a layer, or remove that edit if it is there. @param {number | null} run whose edits are changed; null for the common ones @param {'zero' | 'restore'} act @param {number} stream @param {number} layer */
export function toggleStream(run, act, stream, layer) {
  const target = targetOf(run);
  if (isEditable(stream, layer)) setEdits(target, toggleEdit(editsOf(target), act, stream, layer));
}

/** Derive the columns that the page shows after a cut of a stream, so that a click which makes it need not. @param {number} run @param {number} stream @param {number} layer */
export function deriveCut(run, stream, layer) {
  if (state.layers.value <= MOST_LAYERS) specsAfterCut(run, stream, layer).forEach(deriveAhead);
}

/** Request the runs after a cut of a stream, before the button that makes it is released. @param {number} run @param {number} stream @param {number} layer */
export function requestCut(run, stream, layer) {
  if (state.phase.value === 'idle') requestPressed(specsAfterCut(run, stream, layer));
}

/** List the specs of the view after a cut of a stream. @param {number} run @param {number} stream @param {number} layer */
function specsAfterCut(run, stream, layer) {
  const target = targetOf(run);
  const text = toEditsText(toggleEdit(editsOf(target), 'zero', stream, layer));
  return toSpecs(state.fields.value, withEdits(target, text));
}

/** Return whether a run has a stream at a layer; announce if none has. @param {number} stream @param {number} layer */
function isEditable(stream, layer) {
  /** @type {Edit} */
  const edit = { layers: [layer, layer], what: 'stream', index: stream, do: 'zero' };
  const isPossible = state.settings.value.runs.some((_, run) => canEdit(run, edit));
  if (!isPossible && isComputing) state.announcement.value = `No run has a stream ${stream + 1} at layer ${layer + 1}.`;
  return isPossible;
}

/** Announce what a change of edits added or removed. @param {string | undefined} text of the edits before @param {readonly Edit[]} edits */
function announceChange(text, edits) {
  const describeActive = (/** @type {readonly Edit[]} */ all) => all.filter(({ isOff }) => !isOff).map(describeEdit);
  const [old, now] = [describeActive(listEdits(text ?? '')), describeActive(edits)];
  const added = now.filter((words) => !old.includes(words));
  const removed = old.filter((words) => !now.includes(words));
  state.announcement.value = [
    ...added.map((words) => `${words}.`),
    ...(added.length === 0 ? removed.map((words) => `Removed: ${words}.`) : []),
  ].join(' ');
}

/** The way of cutting that the atlas shows; null while it is closed. */
export const shownCut = computed(() => {
  const act = state.view.value.cards?.[ATLAS];
  return isComputing && act !== undefined && act in CUTS ? act : null;
});

/** Runs that are recordings with an atlas of their own, which the page shows. */
export const recordedAtlases = computed(() => {
  state.dataTick.value;
  const { runs } = state.settings.value;
  return isComputing
    ? [...runs.keys()].filter((run) => runs[run].kind === TRACE && state.slots.value[run]?.columns.hasAtlas)
    : [];
});

/** Whether the list of edits is shown. */
export const hasEdits = computed(() => targets.value.length > 0 || canUndo.value || recordedAtlases.value.length > 0);
