/** What people do to the view, and what follows: the address, and the runs. */

import { isOwn, keptTexts, noteAddress, openingView, pushAddress, replaceAddress, withKeptSweep } from './address.js';
import { boot } from './boot.js';
import { findPreset, leavePreset, nameIn, toView } from './presets.js';
import { hurryRuns, readSpec, requestRuns, requestSoon, showKnown, showSnapshot } from './runner.js';
import * as state from './signals.js';
import { findSetting, fromHash, omittedIn, presetIn } from './view/hash.js';
import { TRACE, withoutUnnamed } from './view/spec.js';

const ADDRESS_MS = 150; // browsers refuse an address that changes many times a second
const CURSOR_MS = 200;
let addressTimer = 0;
let cursorTimer = 0;

/** While something is dragged: the runs follow as fast as they can, the address a moment later. @param {() => void} change */
export function dragTo(change) {
  if (!state.isDragging.value) flushNote();
  state.isDragging.value = true;
  change();
  leaveSnapshot();
  if (showKnown()) requestSoon();
  else requestRuns();
  clearTimeout(addressTimer);
  addressTimer = setTimeout(() => replaceAddress(state.view.value), ADDRESS_MS);
}

/** Where no run is computed: a change is made if what it leads to can be known at once. Returns whether it was. @param {() => void} change */
export function moveIfKnown(change) {
  const before = state.view.value;
  change();
  if (showKnown() || state.isOfView.value) return true;
  state.view.value = before;
  return false;
}

/** A change that is whole, or the release after a drag: a step that Back undoes. @param {() => void} [change] */
export function commit(change) {
  clearTimeout(addressTimer);
  state.isDragging.value = false;
  change?.();
  leaveSnapshot();
  pushAddress(state.view.value);
  if (change) {
    showKnown();
    requestRuns();
  } else hurryRuns();
}

/** What is changed is computed anew; a trace stays, if it is known which it is. */
function leaveSnapshot() {
  if (state.hasTrace.value) state.view.value = withoutUnnamed(state.view.value, boot.rules);
  state.snapshot.value = null;
}

/** @param {number} layer from 0 */
export function moveCursor(layer) {
  state.setCursor(layer);
  noteSoon();
}

/** @param {number} step from 0, the number of steps for the trained stack */
export function moveStep(step) {
  state.setStep(step);
  noteSoon();
}

function noteSoon() {
  clearTimeout(cursorTimer);
  cursorTimer = setTimeout(flushNote, CURSOR_MS);
}

/** Note what waits to be noted. */
function flushNote() {
  clearTimeout(cursorTimer);
  if (cursorTimer) noteView();
  cursorTimer = 0;
}

/** The ends of the layers that are shown and spoken of. @param {{first?: number, last?: number}} change layers from 0 */
export function moveInterval(change) {
  state.setInterval(change);
  const { first, last } = state.interval.value;
  state.spoken.value = state.chosenInterval.value ? `Layers ${first + 1} to ${last + 1} are shown.` : 'All layers are shown.';
  noteView();
}

/** Show and speak of all layers. */
export function clearInterval() {
  moveInterval({ first: 0, last: state.layers.value - 1 });
}

/** Put the cursors back where they were. @param {Pick<import('../../types').View, 'cursor' | 'step'>} places */
export function restoreCursors({ cursor, step }) {
  const { step: _, ...rest } = state.view.value;
  state.view.value = { ...rest, cursor, ...(step === undefined ? {} : { step }) };
  noteSoon();
}

/** Another view of a card. @param {import('../../types').Panel} panel @param {string} key */
export function showCard(panel, key) {
  state.setCard(panel, key);
  noteView();
}

/**
 * Keep in the address what is worth no step back; the address of a stored view stays its own. Not in the midst of a drag,
 * whose release notes all of it: as the address of what is dragged it would take the place of where that began.
 */
export function noteView() {
  if (state.isDragging.value) return;
  if (state.snapshot.value === null && isOwn()) noteAddress(state.view.value);
}

/** Another look at the same runs: nothing is computed, and a stored view stays one. @param {boolean} isOn */
export function showDifference(isOn) {
  state.setDifference(isOn);
  if (state.snapshot.value === null && isOwn()) pushAddress(state.view.value);
}

/** Its claim and its card stand on top: what was looked at before is left. @param {import('../../types').Preset} preset */
export function openPreset(preset) {
  scrollTo(0, 0);
  commit(() => {
    const { cards } = state.view.value; // the views chosen on cards stay
    const opened = toView(preset);
    const all = { ...cards, ...opened.cards };
    state.view.value = { ...opened, ...(Object.keys(all).length > 0 && { cards: all }) };
  });
  requestRuns(true); // chosen from the gallery, it is asked for, however long it takes
}

/** Other runs in place of those of the view: the cursor and the views chosen on cards stay. @param {import('../../types').View} view */
export function showView({ base, runs }) {
  commit(() => {
    const { cards, cursor } = state.view.value;
    state.view.value = { base, runs, cursor, ...(cards && { cards }) };
  });
  requestRuns(true);
}

/** Keep the runs, without what the preset says of them: nothing is computed, and a stored view stays one. */
export function closePreset() {
  leavePreset();
  if (state.snapshot.value === null) pushAddress(state.view.value);
}

/** Read the address, as at the start and after Back: a stored view shows its frames, a hash is computed. @param {import('../../types').Snapshot} [stored] */
export function openAddress(stored) {
  const isSnapshot = stored !== undefined && location.pathname === stored.url;
  const hash = isSnapshot ? stored.state : location.hash;
  const preset = findPreset(nameIn(location.pathname) ?? presetIn(hash, boot.rules));
  const isBare = !isSnapshot && !preset && hash === '';
  const { view: read, problems } = isBare
    ? { view: openingView(), problems: [] }
    : fromHash(hash, state.fields.value, boot.rules, preset && toView(preset), isSnapshot ? {} : keptTexts());
  const isLost = !isSnapshot && read.runs.some((choice) => choice.kind === TRACE && !choice.trace);
  const known = isLost ? withoutUnnamed(read, boot.rules) : read;
  const view = isSnapshot ? withKeptSweep(known) : known;
  if (isLost) problems.push("runs: this link doesn't name its recording; open the snapshot link instead");
  state.batch(() => {
    state.view.value = view;
    state.notices.value = isSnapshot ? [] : problems;
    state.snapshot.value = isSnapshot ? stored : null;
  });
  if (isSnapshot) {
    showSnapshot(stored.runs, state.labels.value);
    void takeTexts(stored, problems);
  } else {
    if (preset) noteView(); // under the preset's own address, whichever way it was named
    showKnown();
    if (!isShown()) requestRuns(preset !== undefined); // its link asks for its runs, however long they take
  }
}

/** Whether all runs of the view are shown, as after Back from a sweep. */
const isShown = () => state.phase.value === 'idle' && state.isOfView.value && state.isComplete.value;

/** A stored view's hash may have had no room for its text: the runs themselves hold it. @param {import('../../types').Snapshot} stored @param {string[]} problems of its hash */
async function takeTexts(stored, problems) {
  const omitted = omittedIn(stored.state);
  if (omitted.length === 0) {
    state.notices.value = problems;
    return;
  }
  const specs = await Promise.all(stored.runs.map(readSpec));
  if (state.snapshot.value !== stored) return;
  const found = omitted.map((key) => [key, String(findSetting(key, specs, boot.rules) ?? '')]);
  const texts = Object.fromEntries(found.filter(([, text]) => text));
  const read = fromHash(stored.state, state.fields.value, boot.rules, undefined, texts);
  state.batch(() => {
    state.view.value = {
      ...read.view,
      runs: state.view.value.runs.map((choice, run) => ({ ...choice, own: read.view.runs[run]?.own ?? choice.own })),
    };
    state.notices.value = read.problems;
  });
}
