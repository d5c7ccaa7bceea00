/** What people do to the view, and what follows: the address, and the runs. */

import { noteAddress, pushAddress, replaceAddress } from './address.js';
import { boot } from './boot.js';
import { fromHash } from './hash.js';
import { hurryRuns, requestRuns, showStored } from './runner.js';
import * as state from './signals.js';
import { fromSpecs, TRACE, withoutTraces } from './spec.js';

const ADDRESS_MS = 150; // browsers refuse an address that changes many times a second
const CURSOR_MS = 200;
let addressTimer = 0;
let cursorTimer = 0;

/** While something is dragged: the runs follow as fast as they can, the address a moment later. @param {() => void} change */
export function dragTo(change) {
  if (!state.isDragging.value) noteAtOnce();
  state.isDragging.value = true;
  change();
  leaveStored();
  requestRuns();
  clearTimeout(addressTimer);
  addressTimer = setTimeout(() => replaceAddress(state.view.value), ADDRESS_MS);
}

/** A change that is whole, or the release after a drag: a step that Back undoes. @param {() => void} [change] */
export function commit(change) {
  clearTimeout(addressTimer);
  state.isDragging.value = false;
  change?.();
  leaveStored();
  pushAddress(state.view.value);
  if (change) requestRuns();
  else hurryRuns();
}

/** What is changed is computed anew; a trace cannot be, and is left out. */
function leaveStored() {
  if (state.hasTrace.value) state.view.value = withoutTraces(state.view.value, boot.rules);
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
  cursorTimer = setTimeout(noteAtOnce, CURSOR_MS);
}

/** Note what waits to be noted. */
function noteAtOnce() {
  clearTimeout(cursorTimer);
  if (cursorTimer) noteView();
  cursorTimer = 0;
}

/** The ends of the interval that is multiplied. @param {{first?: number, last?: number}} change layers from 0 */
export function moveInterval(change) {
  state.setInterval(change);
  noteView();
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
  if (state.snapshot.value === null && location.pathname === '/') noteAddress(state.view.value);
}

/** Another look at the same runs: nothing is computed, and a stored view stays one. @param {boolean} isOn */
export function showDifference(isOn) {
  state.setDifference(isOn);
  if (state.snapshot.value === null && location.pathname === '/') pushAddress(state.view.value);
}

/** @param {import('../../types').Preset} preset */
export function openPreset(preset) {
  commit(() => {
    const { cards } = state.view.value; // the views chosen on cards stay
    state.view.value = {
      ...fromSpecs(
        state.fields.value,
        preset.specs.map((item) => item.spec),
      ),
      ...(cards && { cards }),
    };
  });
  requestRuns(true); // chosen from the gallery, it is asked for, however long it takes
}

/** Read the address, as at the start and after Back: a stored view shows its frames, a hash is computed. @param {import('../../types').Snapshot} [stored] */
export function openAddress(stored) {
  const isStored = stored !== undefined && location.pathname === stored.url;
  const { view: read, problems } = fromHash(isStored ? stored.state : location.hash, state.fields.value, boot.rules);
  const isLost = !isStored && read.runs.some((choice) => choice.kind === TRACE);
  const view = isLost ? withoutTraces(read, boot.rules) : read;
  if (isLost) problems.push('runs: a trace has no spec, so it cannot be computed; the short link of its view opens it');
  state.batch(() => {
    state.view.value = view;
    state.notices.value = problems;
    state.snapshot.value = isStored ? stored : null;
  });
  if (isStored) showStored(stored.runs, state.labels.value);
  else requestRuns();
}
