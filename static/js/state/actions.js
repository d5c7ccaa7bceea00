/** User actions on the view; they update the address and the runs. */

import {
  keptTexts,
  mayChangeAddress,
  openingView,
  pushAddress,
  replaceAddress,
  withHistorySweep,
  writeAddress,
} from './address.js';
import { boot } from './boot.js';
import { findSetting, fromHash, omittedIn, presetIn } from './hash.js';
import { findPreset, leavePreset, nameIn, toView } from './presets.js';
import { readSpec, requestNow, requestRuns, requestSoon, showDerived, showSnapshot } from './runner.js';
import * as state from './signals.js';
import { dropRecordingsWithoutId, TRACE } from './spec.js';

const ADDRESS_MS = 150; // browsers limit how often a page may change its address
const CURSOR_MS = 200;
let addressTimer = 0;
let cursorTimer = 0;

/** Apply a change of the view during a drag: show derived columns and request runs when the pointer rests, or request runs immediately if nothing can be derived; update the address after a delay. @param {() => void} change */
export function dragTo(change) {
  if (!state.isDragging.value) flushAddressUpdate();
  // One batch: effects of the page run once for each move.
  state.batch(() => {
    state.isDragging.value = true;
    change();
    leaveSnapshot();
    if (showDerived()) requestSoon();
    else requestRuns();
  });
  clearTimeout(addressTimer);
  addressTimer = setTimeout(() => replaceAddress(state.view.value), ADDRESS_MS);
}

/** Apply a change if its columns can be derived without the server; return whether it was applied. @param {() => void} change */
export function moveIfDerivable(change) {
  const before = state.view.value;
  change();
  if (showDerived() || state.matchesView.value) return true;
  state.view.value = before;
  return false;
}

/** Finish a change, or a drag if none is given: adds a history entry, so that Back undoes it. @param {() => void} [change] */
export function commit(change) {
  clearTimeout(addressTimer);
  state.isDragging.value = false;
  change?.();
  leaveSnapshot();
  pushAddress(state.view.value);
  if (change) {
    showDerived();
    requestRuns();
  } else requestNow();
}

/** Leave the snapshot, because changed runs are recomputed; recordings with an id stay. */
function leaveSnapshot() {
  if (state.hasTrace.value) state.view.value = dropRecordingsWithoutId(state.view.value, boot.rules);
  state.snapshot.value = null;
}

/** Move the cursor to a layer. @param {number} layer from 0 */
export function moveCursor(layer) {
  state.setCursor(layer);
  scheduleAddressUpdate();
}

/** Move the cursor to a training step; the address follows. @param {number} step from 0; the number of steps means the trained stack */
export function moveStep(step) {
  state.setStep(step);
  scheduleAddressUpdate();
}

/** Write the view into the address after a pause, because browsers limit how often it may change. */
function scheduleAddressUpdate() {
  clearTimeout(cursorTimer);
  cursorTimer = setTimeout(flushAddressUpdate, CURSOR_MS);
}

/** Write a pending change of the address. */
function flushAddressUpdate() {
  clearTimeout(cursorTimer);
  if (cursorTimer) updateAddress();
  cursorTimer = 0;
}

/** Change the first or last layer of the interval. @param {{first?: number, last?: number}} change layers from 0 */
export function moveInterval(change) {
  state.setInterval(change);
  const { first, last } = state.interval.value;
  state.announcement.value = state.chosenInterval.value
    ? `Layers ${first + 1} to ${last + 1} are shown.`
    : 'All layers are shown.';
  updateAddress();
}

/** Show all layers again, without an interval. */
export function clearInterval() {
  moveInterval({ first: 0, last: state.layers.value - 1 });
}

/** Restore layer, step and interval after the view changed. @param {Pick<import('../../types').View, 'cursor' | 'step'>} places */
export function restoreCursors({ cursor, step }) {
  state.changeView({ cursor, step });
  scheduleAddressUpdate();
}

/** Show another view of a card's figure. @param {import('../../types').Panel} panel @param {string} key */
export function chooseCardView(panel, key) {
  state.setPanelView(panel, key);
  updateAddress();
}

/** Show another view of a card's figure while a slider moves: the address follows later. @param {import('../../types').Panel} panel @param {string} key */
export function slideCardView(panel, key) {
  state.setPanelView(panel, key);
  scheduleAddressUpdate();
}

/**
 * Update the address without a history entry; the address of a snapshot stays. Skipped during a drag: it would overwrite the entry at
 * which the drag began, and the release updates the address anyway.
 */
export function updateAddress() {
  if (state.isDragging.value) return;
  if (state.snapshot.value === null && mayChangeAddress()) writeAddress(state.view.value);
}

/** Switch the difference mode: nothing is computed, and a snapshot stays. @param {boolean} isOn */
export function showDifference(isOn) {
  state.setDifference(isOn);
  if (state.snapshot.value === null && mayChangeAddress()) pushAddress(state.view.value);
}

/** Open a preset and scroll to its text at the top. @param {import('../../types').Preset} preset */
export function openPreset(preset) {
  scrollTo(0, 0);
  commit(() => {
    const { cards } = state.view.value; // the chosen views of cards stay
    const opened = toView(preset);
    const all = { ...cards, ...opened.cards };
    state.view.value = { ...opened, ...(Object.keys(all).length > 0 && { cards: all }) };
  });
  requestRuns(true); // an explicit choice starts runs of any duration
}

/** Replace the runs of the page by those of a view; the cursor and the chosen views of cards stay. @param {import('../../types').View} view */
export function showView({ base, runs }) {
  commit(() => {
    const { cards, cursor } = state.view.value;
    state.view.value = { base, runs, cursor, ...(cards && { cards }) };
  });
  requestRuns(true);
}

/** Close the preset's text but keep its runs: nothing is computed, and a snapshot stays. */
export function closePreset() {
  leavePreset();
  if (state.snapshot.value === null) pushAddress(state.view.value);
}

/** Read the address at the start and after Back: a snapshot shows its frames, a hash requests runs. @param {import('../../types').Snapshot} [snapshot] */
export function openAddress(snapshot) {
  const isSnapshot = snapshot !== undefined && location.pathname === snapshot.url;
  const hash = isSnapshot ? snapshot.state : location.hash;
  const preset = findPreset(nameIn(location.pathname) ?? presetIn(hash, boot.rules));
  const isBare = !isSnapshot && !preset && hash === '';
  const { view: read, problems } = isBare
    ? { view: openingView(), problems: [] }
    : fromHash(hash, state.fields.value, boot.rules, preset && toView(preset), isSnapshot ? {} : keptTexts());
  const isLost = !isSnapshot && read.runs.some((choice) => choice.kind === TRACE && !choice.trace);
  const known = isLost ? dropRecordingsWithoutId(read, boot.rules) : read;
  const view = isSnapshot ? withHistorySweep(known) : known;
  if (isLost) problems.push("runs: this link doesn't name its recording; open the snapshot link instead");
  state.batch(() => {
    state.view.value = view;
    state.notices.value = isSnapshot ? [] : problems;
    state.snapshot.value = isSnapshot ? snapshot : null;
  });
  if (isSnapshot) {
    showSnapshot(snapshot.runs, state.labels.value);
    void restoreOmittedTexts(snapshot, problems);
  } else {
    if (preset) updateAddress(); // use the preset's own address
    showDerived();
    if (!areRunsShown()) requestRuns(preset !== undefined); // a preset's link starts runs of any duration
  }
}

/** Return whether all runs of the view are shown, as after Back from a sweep. */
const areRunsShown = () => state.phase.value === 'idle' && state.matchesView.value && state.isComplete.value;

/** Read texts that the hash of a snapshot omits from the specs of its runs. @param {import('../../types').Snapshot} snapshot @param {string[]} problems of its hash */
async function restoreOmittedTexts(snapshot, problems) {
  const omitted = omittedIn(snapshot.state);
  if (omitted.length === 0) {
    state.notices.value = problems;
    return;
  }
  const specs = await Promise.all(snapshot.runs.map(readSpec));
  if (state.snapshot.value !== snapshot) return;
  const found = omitted.map((key) => [key, String(findSetting(key, specs, boot.rules) ?? '')]);
  const texts = Object.fromEntries(found.filter(([, text]) => text));
  const read = fromHash(snapshot.state, state.fields.value, boot.rules, undefined, texts);
  state.batch(() => {
    state.view.value = {
      ...read.view,
      runs: state.view.value.runs.map((choice, run) => ({ ...choice, own: read.view.runs[run]?.own ?? choice.own })),
    };
    state.notices.value = read.problems;
  });
}
