/** Records visited views: when all runs are done and the view has stayed for some seconds, or is shared. */

import { effect, signal } from '@preact/signals';
import { formatRunGain, gainOf } from '../data/gain.js';
import { links } from '../share/share.js';
import { mayChangeAddress, openingView, urlOf } from '../state/address.js';
import { boot } from '../state/boot.js';
import { toHash } from '../state/hash.js';
import * as state from '../state/signals.js';
import { changeList, readList, writeList } from '../state/store.js';
import { addView, describeView, dropViews, isVisited, KEY, restoreViews } from '../state/visited.js';
import { titleOfView } from './viewreading.js';

/** @typedef {import('../state/visited.js').Visited} Visited */

/** Time after which a view counts as visited. */
const STAY_MS = 3000;

/** @type {import('../state/store.js').Stored} */
const NOTHING = { items: [], trouble: '' };
export const stored = signal(NOTHING);
/** The last deleted entries, for Undo. */
export const dropped = signal(/** @type {Visited[]} */ ([]));

const isViewComplete = () => state.phase.value === 'idle' && state.isComplete.value && !state.isDragging.value;

/** Return whether the view is the opening view, which is not recorded. */
const isOpening = () => shownKey() === toHash(openingView(), boot.rules);

/** Build the key of the view: its runs, independent of how they are shown. */
export function shownKey() {
  const { base, runs, preset } = state.view.value;
  return state.snapshot.value?.url ?? toHash({ base, runs, cursor: null, ...(preset && { preset }) }, boot.rules);
}

/** Build the list entry of the current view. @returns {Visited} */
function toVisited() {
  const { value: view } = state.view;
  const labels = state.labels.value;
  return {
    key: shownKey(),
    url: state.snapshot.value?.url ?? urlOf(view),
    hash: toHash(view, boot.rules),
    title: state.snapshot.value?.title || titleOfView(view, labels),
    name: '',
    note: '',
    seen: Date.now(),
    runs: state.slots.value.map(({ columns, label }) => ({ label, headline: toHeadline(columns) })),
  };
}

/** Format the gain of a run; empty if unknown. @param {import('../../types').Columns} columns */
function toHeadline(columns) {
  const gain = gainOf(columns);
  return gain === null ? '' : formatRunGain(gain, columns.start?.streams);
}

/** Address of the last recorded view, so that the list does not move while the view stays. */
let recordedUrl = '';

/** Record the view if it is complete. */
export function recordVisit() {
  if (!isViewComplete() || isOpening()) return;
  const visited = toVisited();
  if (visited.url !== recordedUrl) changeVisited((views) => addView(views, visited));
  recordedUrl = visited.url;
}

/** Change the stored list of visited views. @param {(views: Visited[]) => Visited[]} next */
function changeVisited(next) {
  stored.value = changeList(KEY, isVisited, next);
}

/** Set name or note of a visited view. @param {string} key @param {{name?: string, note?: string}} words */
export const describeVisited = (key, words) => changeVisited((views) => describeView(views, key, words));

/** Delete the visited views with these keys, and keep them for Undo. @param {string[]} keys */
export function dropVisited(keys) {
  dropped.value = stored.value.items.filter((item) => keys.includes(item.key));
  changeVisited((views) => dropViews(views, keys));
}

/** Delete all visited views, even if the list cannot be read, and keep them for Undo. */
export function dropAllVisited() {
  dropped.value = stored.value.items;
  stored.value = { items: [], trouble: writeList(KEY, []) };
}

/** Put the views that were deleted last back into the list. */
export function restore() {
  changeVisited((views) => restoreViews(views, dropped.value));
  dropped.value = [];
}

/** Record visited views until the page is closed. */
export function followVisits() {
  let timer = 0;
  stored.value = readList(KEY, isVisited);
  addEventListener('storage', (event) => {
    if (event.key === KEY || event.key === null) stored.value = readList(KEY, isVisited);
  });
  effect(() => {
    [state.view.value, state.snapshot.value];
    clearTimeout(timer);
    if (isViewComplete() && (mayChangeAddress() || state.snapshot.value)) timer = setTimeout(recordVisit, STAY_MS);
  });
  effect(() => {
    if (links.value?.id) queueMicrotask(recordVisit); // outside the effect, so that it does not depend on what `recordVisit` reads
  });
}
