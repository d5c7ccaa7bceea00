/** Keeps the list of views that someone has looked at: one entry when all runs are done and the view has stayed, or is shared. */

import { effect, signal } from '@preact/signals';
import { gainOf, formatRunGain } from '../data/gain.js';
import { links } from '../share/share.js';
import { isOwn, openingView, urlOf } from '../state/address.js';
import { boot } from '../state/boot.js';
import * as state from '../state/signals.js';
import { changeList, readList, writeList } from '../state/store.js';
import { toHash } from '../state/view/hash.js';
import { addView, describeView, dropViews, isVisited, KEY, restoreViews } from '../state/visited.js';
import { titleOf } from './viewreading.js';

/** @typedef {import('../state/visited.js').Visited} Visited */

/** How long a view stays until it counts as looked at. */
const STAY_MS = 3000;

/** @type {import('../state/store.js').Stored} */
const NOTHING = { items: [], trouble: '' };
export const stored = signal(NOTHING);
/** What was deleted last, to bring it back. */
export const dropped = signal(/** @type {Visited[]} */ ([]));

const isWhole = () => state.phase.value === 'idle' && state.isComplete.value && !state.isDragging.value;

/** The opening view is always a click away: it is no work of anyone. */
const isOpening = () => viewKey() === toHash(openingView(), boot.rules);

/** The runs alone, however they are looked at. */
function viewKey() {
  const { base, runs, preset } = state.view.value;
  return state.snapshot.value?.url ?? toHash({ base, runs, cursor: null, ...(preset && { preset }) }, boot.rules);
}

/** @returns {Visited} */
function toVisited() {
  const { value: view } = state.view;
  const labels = state.labels.value;
  return {
    key: viewKey(),
    url: state.snapshot.value?.url ?? urlOf(view),
    hash: toHash(view, boot.rules),
    title: state.snapshot.value?.title || titleOf(view, labels),
    name: '',
    note: '',
    seen: Date.now(),
    runs: state.slots.value.map(({ columns, label }) => ({ label, headline: toHeadline(columns) })),
  };
}

/** The gain as everywhere on the page; empty where it is not known. @param {import('../../types').Columns} columns */
function toHeadline(columns) {
  const gain = gainOf(columns);
  return gain === null ? '' : formatRunGain(gain, columns);
}

/** The view that was noted last: the list must not move under a hand because it stays. */
let noted = '';

/** Note the view that is shown, if all of it is. */
export function noteVisit() {
  if (!isWhole() || isOpening()) return;
  const visited = toVisited();
  if (visited.url !== noted) change((views) => addView(views, visited));
  noted = visited.url;
}

/** @param {(views: Visited[]) => Visited[]} next */
function change(next) {
  stored.value = changeList(KEY, isVisited, next);
}

/** The key of the view that is shown. */
export const shownKey = () => viewKey();

/** @param {string} key @param {{name?: string, note?: string}} words */
export const describe = (key, words) => change((views) => describeView(views, key, words));

/** @param {string[]} keys */
export function drop(keys) {
  dropped.value = stored.value.items.filter((item) => keys.includes(item.key));
  change((views) => dropViews(views, keys));
}

/** Also what can not be read: a list begins anew. */
export function dropAll() {
  dropped.value = stored.value.items;
  stored.value = { items: [], trouble: writeList(KEY, []) };
}

export function restore() {
  change((views) => restoreViews(views, dropped.value));
  dropped.value = [];
}

/** For as long as the page is there. */
export function followVisits() {
  let timer = 0;
  stored.value = readList(KEY, isVisited);
  addEventListener('storage', (event) => {
    if (event.key === KEY || event.key === null) stored.value = readList(KEY, isVisited);
  });
  effect(() => {
    [state.view.value, state.snapshot.value];
    clearTimeout(timer);
    if (isWhole() && (isOwn() || state.snapshot.value)) timer = setTimeout(noteVisit, STAY_MS);
  });
  effect(() => {
    if (links.value?.id) queueMicrotask(noteVisit); // not to follow what it reads
  });
}
