/** What people do to the view, and what follows: the address, and the runs. */

import { noteAddress, pushAddress, replaceAddress } from './address.js';
import { fromHash } from './hash.js';
import { requestRuns, showStored } from './runner.js';
import { fromSpecs } from './spec.js';
import * as state from './state.js';

const DRAG_MS = 60;
const CURSOR_MS = 200;
let dragTimer = 0;
let cursorTimer = 0;

/** While something is dragged or typed: the runs follow, a moment later. @param {() => void} change */
export function dragTo(change) {
  change();
  state.snapshot.value = null;
  clearTimeout(dragTimer);
  dragTimer = setTimeout(() => {
    dragTimer = 0;
    replaceAddress(state.view.value);
    requestRuns();
  }, DRAG_MS);
}

/** A change that is whole, or the release after a drag: a step that Back undoes. @param {() => void} [change] */
export function commit(change) {
  const isPending = dragTimer !== 0;
  clearTimeout(dragTimer);
  dragTimer = 0;
  change?.();
  state.snapshot.value = null;
  pushAddress(state.view.value);
  if (change || isPending) requestRuns();
}

/** @param {number} layer from 0 */
export function moveCursor(layer) {
  state.setCursor(layer);
  clearTimeout(cursorTimer);
  cursorTimer = setTimeout(() => {
    if (state.snapshot.value === null && location.pathname === '/') noteAddress(state.view.value);
  }, CURSOR_MS);
}

/** @param {import('../types').Preset} preset */
export function openPreset(preset) {
  commit(() => {
    state.view.value = fromSpecs(state.fields.value, preset.specs.map((item) => item.spec));
  });
}

/** Read the address, as at the start and after Back: a stored view shows its frames, a hash is computed. @param {import('../types').Snapshot} [stored] */
export function openAddress(stored) {
  const isStored = stored !== undefined && location.pathname === stored.url;
  const { view, problems } = fromHash(isStored ? stored.state : location.hash, state.fields.value);
  state.batch(() => {
    state.view.value = view;
    state.notices.value = problems;
    state.snapshot.value = isStored ? stored : null;
  });
  if (isStored) showStored(stored.runs, state.labels.value);
  else requestRuns();
}
