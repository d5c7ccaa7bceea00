/**
 * Deeper stacks, asked for before a hand wants them. While a hand is near the depth slider, or moves it beyond all layers that are
 * here, the same runs are asked for at about twice the depth: on its way up the hand then finds their first layers here (ADR 8).
 * One such request is under way at most, nothing long is started, and what is asked for by itself comes first.
 */

import { effect, signal } from '@preact/signals';
import { addFrame, createColumns } from '../data/columns.js';
import { ApiError, cancelRun, compareRuns } from '../net/api.js';
import { followRuns } from '../net/stream.js';
import { chooseDepth } from './deeper.js';
import { keepRecord, keptIds, recallRecord, recallSpec } from './kept.js';
import { showMore } from './runner.js';
import * as state from './signals.js';
import { isBeginning } from './slots.js';
import { settingOf, stopsOf, TRACE, toSpecs } from './view/spec.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('../../types').View} View */
/** What is under way: for which view, how deep, and how it is given up. @typedef {{family: string, depth: number, end: AbortController}} Asked */

export const DEPTH = 'depth';
/** A pointer that only crosses the slider wants nothing. */
const NEAR_MS = 100;
/** What all the runs together are predicted to take at most. */
const MAX_S = 2;
/** Why a request is given up whose runs go on: they are what is asked for now. */
const WANTED = 'wanted';

/** Whether a pointer is over the depth slider, or the focus on it. */
export const isNear = signal(false);

/** @type {Asked | null} */
let latest = null;

/** Ask ahead, for as long as the page is there. */
export function followPrefetch() {
  let timer = 0;
  effect(() => {
    const isWanted = isNear.value && state.phase.value === 'idle' && !state.isDragging.value;
    clearTimeout(timer);
    if (isWanted) timer = setTimeout(prefetch, NEAR_MS);
  });
  effect(() => {
    if (state.isMoving.value && state.slots.value.some(isBeginning)) prefetch();
  });
  effect(() => {
    if (state.phase.value === 'running') leave();
  });
}

/** Those who want to save data, or look elsewhere, are sent nothing that they may not need. */
function isSparing() {
  const { connection } = /** @type {any} */ (navigator);
  return (
    document.visibilityState === 'hidden' ||
    connection?.saveData === true ||
    matchMedia('(prefers-reduced-data: reduce)').matches
  );
}

/** Ask for the runs of the view at a larger depth, unless that is under way, has been refused, or is of no use. */
function prefetch() {
  const view = state.settings.peek();
  const field = state.fields.peek().get(DEPTH);
  if (!field || isSparing() || view.runs.some((choice) => choice.kind === TRACE || DEPTH in choice.own)) return;
  const now = Number(settingOf(view, { kind: '', own: {} }, field));
  const depth = chooseDepth(stopsOf(field), now);
  const family = familyOf(view);
  if (depth === null || (latest?.family === family && latest.depth > now)) return;
  const specs = toSpecs(state.fields.peek(), at(view, depth));
  if (!areOfUse(specs)) return;
  leave();
  latest = { family, depth, end: new AbortController() };
  void fetchRuns(specs, latest.end.signal);
}

/** Whether their first layers are those of the runs that are here, and not all of them are here themselves. @param {any[]} specs */
function areOfUse(specs) {
  const found = specs.map(recallSpec);
  return found.every(Boolean) && found.some((item) => item && isBeginning(item));
}

/** @param {View} view @param {number} depth @returns {View} */
const at = (view, depth) => ({ ...view, base: { ...view.base, [DEPTH]: depth } });

/** @param {View} view */
const keyFor = (view) => JSON.stringify(toSpecs(state.fields.peek(), view));

/** What a view is but for its depth. @param {View} view */
const familyOf = (view) => keyFor(at(view, 0));

/** What is asked for now comes first: what is under way is given up, unless it is just that. */
function leave() {
  const view = state.settings.peek();
  const isWanted =
    latest !== null && keyFor(at(view, latest.depth)) === keyFor(view) && latest.family === familyOf(view);
  latest?.end.abort(isWanted ? WANTED : undefined);
  latest = null;
}

/** @param {any[]} specs @param {AbortSignal} signal */
async function fetchRuns(specs, signal) {
  try {
    const { submitted, stream } = await compareRuns(specs, MAX_S, keptIds());
    const ids = submitted.filter(({ status }) => status !== 'unstarted').map(({ id }) => id);
    const open = new Map(ids.filter((id) => !recallRecord(id)).map((id) => [id, createColumns()]));
    const giveUp = () => void (signal.reason === WANTED || cancelOpen(open));
    signal.addEventListener('abort', giveUp, { once: true });
    if (signal.aborted) giveUp();
    if (signal.aborted || open.size === 0) stream.close();
    else followOpen(open, signal, stream);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error; // a server that has no room now is asked when the hand lets go
  }
}

/** @param {Map<string, Columns>} open @param {AbortSignal} signal @param {import('../net/api.js').EventStream} stream */
function followOpen(open, signal, stream) {
  const ignore = () => {}; // what the page shows is not theirs
  followRuns(
    [...open.keys()],
    {
      onFrame(frame) {
        const columns = open.get(frame.run);
        if (!columns) return;
        addFrame(columns, frame);
        if (columns.end === null) return;
        open.delete(frame.run);
        if (columns.end.status === 'done') keepRecord(frame.run, columns);
        if (open.size === 0) showMore();
      },
      onStatus: ignore,
      onConnection: ignore,
      onRefused: ignore,
    },
    signal,
    stream,
  );
}

/** @param {Map<string, Columns>} open */
async function cancelOpen(open) {
  // A run that has ended meanwhile, or that others watch, needs no cancelling: whatever the answer is, there is nothing to do.
  await Promise.allSettled([...open.keys()].map(cancelRun));
}
