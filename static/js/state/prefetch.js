/**
 * Prefetches deeper stacks. While the pointer is near the depth slider, or drags it beyond all known layers, the page requests the same
 * runs at about twice the depth, so that a longer drag finds their first layers (ADR 8). At most one prefetch is running, long runs are
 * not started, and requests for the view come first.
 */

import { effect, signal } from '@preact/signals';
import { addFrame, createColumns } from '../data/columns.js';
import { ApiError, cancelRun, compareRuns } from '../net/api.js';
import { followRuns } from '../net/stream.js';
import { keepRecord, keptIds, recallColumnsFor, recallRecord } from './records.js';
import { showMore } from './runner.js';
import * as state from './signals.js';
import { isBeginning } from './slots.js';
import { chooseDepth, settingOf, stopsOf, TRACE, toSpecs } from './spec.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('../../types').View} View */
/** A running prefetch: view without depth, depth, and its controller. @typedef {{family: string, depth: number, end: AbortController}} Prefetch */

export const DEPTH = 'depth';
/** Delay that ignores a pointer crossing the slider. */
const NEAR_MS = 100;
/** Largest predicted duration of all runs together. */
const MAX_S = 2;
/** Abort reason of a prefetch whose runs continue, because the view needs them now. */
const WANTED = 'wanted';

/** Whether the pointer is over the depth slider, or it has the focus. */
export const isNear = signal(false);

/** @type {Prefetch | null} */
let latest = null;

/** Start prefetching; runs until the page is closed. */
export function followPrefetch() {
  let timer = 0;
  effect(() => {
    const isWanted = isNear.value && state.phase.value === 'idle' && !state.isDragging.value;
    clearTimeout(timer);
    if (isWanted) timer = setTimeout(prefetchDeeper, NEAR_MS);
  });
  effect(() => {
    if (state.isMoving.value && state.slots.value.some(isBeginning)) prefetchDeeper();
  });
  effect(() => {
    if (state.phase.value === 'running') cancelPrefetch();
  });
}

/** Return whether to save data: the user prefers it, or the page is hidden. */
function isSavingData() {
  const { connection } = /** @type {any} */ (navigator);
  return (
    document.visibilityState === 'hidden' ||
    connection?.saveData === true ||
    matchMedia('(prefers-reduced-data: reduce)').matches
  );
}

/** Request the runs of the view at a larger depth, unless that is running, was refused, or is useless. */
function prefetchDeeper() {
  const view = state.settings.peek();
  const field = state.fields.peek().get(DEPTH);
  if (!field || isSavingData() || view.runs.some((choice) => choice.kind === TRACE || DEPTH in choice.own)) return;
  const now = Number(settingOf(view, { kind: '', own: {} }, field));
  const depth = chooseDepth(stopsOf(field), now);
  const family = depthlessKey(view);
  if (depth === null || (latest?.family === family && latest.depth > now)) return;
  const specs = toSpecs(state.fields.peek(), atDepth(view, depth));
  if (!areUseful(specs)) return;
  cancelPrefetch();
  latest = { family, depth, end: new AbortController() };
  void fetchRuns(specs, latest.end.signal);
}

/** Return whether a prefetch is useful: the first layers of all runs are known, but not all complete runs. @param {any[]} specs */
function areUseful(specs) {
  const found = specs.map(recallColumnsFor);
  return found.every(Boolean) && found.some((item) => item && isBeginning(item));
}

/** Return the view at another depth. @param {View} view @param {number} depth @returns {View} */
const atDepth = (view, depth) => ({ ...view, base: { ...view.base, [DEPTH]: depth } });

/** Serialise the specs of a view, as a key for comparisons. @param {View} view */
const specsKey = (view) => JSON.stringify(toSpecs(state.fields.peek(), view));

/** Serialise the specs of a view without depth, as a key for views that differ only in depth. @param {View} view */
const depthlessKey = (view) => specsKey(atDepth(view, 0));

/** Cancel the prefetch in favour of the view's own request; keep its runs if they are the same. */
function cancelPrefetch() {
  const view = state.settings.peek();
  const isWanted =
    latest !== null && specsKey(atDepth(view, latest.depth)) === specsKey(view) && latest.family === depthlessKey(view);
  latest?.end.abort(isWanted ? WANTED : undefined);
  latest = null;
}

/** Start runs before they are needed, and follow them. @param {any[]} specs @param {AbortSignal} signal */
async function fetchRuns(specs, signal) {
  try {
    const { submitted, stream } = await compareRuns(specs, MAX_S, keptIds());
    const ids = submitted.filter(({ status }) => status !== 'unstarted').map(({ id }) => id);
    const open = new Map(ids.filter((id) => !recallRecord(id)).map((id) => [id, createColumns()]));
    const giveUp = () => void (signal.reason === WANTED || cancelPrefetched(open));
    signal.addEventListener('abort', giveUp, { once: true });
    if (signal.aborted) giveUp();
    if (signal.aborted || open.size === 0) stream.close();
    else followPrefetched(open, signal, stream);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error; // a busy server gets the request again on release
  }
}

/** Collect the frames of prefetched runs and keep complete records. @param {Map<string, Columns>} open @param {AbortSignal} signal @param {import('../net/api.js').EventStream} stream */
function followPrefetched(open, signal, stream) {
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
    },
    signal,
    stream,
  );
}

/** Cancel the prefetched runs that have not ended. @param {Map<string, Columns>} open */
async function cancelPrefetched(open) {
  // Errors do not matter: the run has ended, or others watch it.
  await Promise.allSettled([...open.keys()].map(cancelRun));
}
