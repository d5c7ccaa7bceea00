/** Adds frames of running records to the columns of their slots, and finishes when all are shown. */

import { addFrame } from '../data/columns.js';
import { ApiError, getRun } from '../net/api.js';
import { followRuns } from '../net/stream.js';
import { EFFECT } from './editlist.js';
import { recordArrival } from './pace.js';
import { keepRecord } from './records.js';
import * as state from './signals.js';
import { confirmDerived, isTrace, keepCompleteSlots, setPlace, updateModels } from './slots.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('./signals.js').Slot} Slot @typedef {Map<string, Columns>} Records */

/** Shortest time between two updates of the page. Updating on every frame would take time from computing. */
const TICK_MS = 100;

let following = new AbortController();
/** Recordings that are followed; they continue when runs change. */
let traced = { ids: '', following: new AbortController() };
/** Recordings of models that still train: the page waits for their start, not for their end. @type {Set<string>} */
const live = new Set();

/** Stop receiving frames of runs. */
export const stopFollowing = () => following.abort();

/** Set whether a recording still grows. @param {string} id @param {boolean} isLive */
export const setLive = (id, isLive) => void (isLive ? live.add(id) : live.delete(id));

/**
 * Follow the records of all slots until they end.
 * @param {number | null} begun time of the request, null if all runs were stored
 * @param {(lost: string[]) => void} onLost called with ids of records that the server has lost
 * @param {import('../net/api.js').EventStream} [stream] response to that request
 */
export function followSlots(begun, onLost, stream) {
  following = new AbortController();
  const { signal } = following;
  let isOver = false;
  const finish = () => {
    isOver = true;
    state.elapsed_s.value = begun === null ? null : (performance.now() - begun) / 1000;
    finishRuns();
  };
  const finishIfComplete = () => {
    if (!isOver && !signal.aborted && state.slots.value.every(isShown)) finish();
  };
  scheduleTick();
  followTraces(finishIfComplete, onLost);
  const runs = openRecordsOf(state.slots.value.filter((slot) => !isTrace(slot)));
  if (runs.size === 0) stream?.close();
  else followRecords(runs, { finishIfComplete, onLost, signal, stream });
  finishIfComplete();
}

/** Return whether a record has ended, or is a recording that still grows and has begun. @param {Slot} slot */
const isShown = ({ id, columns }) => columns.end !== null || (live.has(id) && columns.start !== null);

/** List the records that have not ended. @param {Slot[]} slots @returns {Records} */
const openRecordsOf = (slots) =>
  new Map(slots.filter(({ columns }) => columns.end === null).map(({ id, columns }) => [id, columns]));

/** Follow the incomplete recordings of the view; keep existing connections. @param {() => void} finishIfComplete @param {(lost: string[]) => void} onLost */
function followTraces(finishIfComplete, onLost) {
  const open = openRecordsOf(state.slots.value.filter(isTrace));
  const ids = [...open.keys()].join();
  finishLatest = finishIfComplete;
  if (ids === traced.ids) return;
  traced.following.abort();
  traced = { ids, following: new AbortController() };
  if (open.size > 0)
    followRecords(open, { finishIfComplete: () => finishLatest(), onLost, signal: traced.following.signal });
}

/** Finish the latest view if its records are complete; replaced when the view changes. */
let finishLatest = () => {};

/** Follow some records on one connection. @param {Records} open @param {{finishIfComplete: () => void, onLost: (lost: string[]) => void, signal: AbortSignal, stream?: import('../net/api.js').EventStream}} then */
function followRecords(open, { finishIfComplete, onLost, signal, stream }) {
  const after = new Map([...open].map(([id, columns]) => [id, columns.last]));
  followRuns(
    after,
    {
      onFrame(frame) {
        const columns = open.get(frame.run);
        if (!columns) return;
        addFrame(columns, frame);
        if (frame.type === 'start') updateModels();
        if (frame.type === 'step') recordArrival(columns, performance.now());
        if (frame.type === 'end' && live.delete(frame.run) && state.phase.value === 'idle') finishRuns();
        scheduleTick();
        finishIfComplete();
      },
      onStatus: setPlace,
      onConnection(isUp) {
        state.isConnected.value = isUp;
      },
      onRefused: () => void reportLost([...open.keys()], signal, onLost),
    },
    signal,
    stream,
  );
}

/** Report records that the server has lost, as after its data folder was emptied. @param {string[]} ids @param {AbortSignal} signal @param {(lost: string[]) => void} onLost */
async function reportLost(ids, signal, onLost) {
  const lost = (await Promise.all(ids.map(isLost))).flatMap((is, index) => (is ? [ids[index]] : []));
  if (lost.length > 0 && !signal.aborted && state.snapshot.value === null) onLost(lost);
}

/** Return whether the server lacks a record. @param {string} id */
const isLost = (id) =>
  getRun(id).then(
    () => false,
    (error) => error instanceof ApiError && error.status === 404,
  );

/** Return the finding that is announced: what edits cost, else the first. @param {Columns['summary']} summary */
function mainFinding(summary) {
  const { findings = [] } = summary ?? {};
  return findings.find(({ key }) => key === EFFECT) ?? findings[0];
}

/** Keep complete records, and announce the findings. */
function finishRuns() {
  for (const { id, columns } of state.slots.value) {
    if (columns.end?.status === 'done') keepRecord(id, columns);
  }
  state.slots.value = state.slots.value.map(confirmDerived);
  keepCompleteSlots();
  state.batch(() => {
    tickNow();
    state.isConnected.value = true;
    if (state.isBlocked.value) return; // other runs than those of the view are shown
    state.phase.value = 'idle';
    const sentences = state.slots.value.map(
      ({ columns: { summary, end } }) => mainFinding(summary)?.text ?? end?.reason ?? '',
    );
    state.announcement.value = state.slots.value.map((slot, index) => `${slot.label}: ${sentences[index]}`).join(' ');
  });
}

let ticking = 0;
let ticked = 0;

/** Schedule an update of the page: immediately for the first frames, then a few times per second, for short runs when they are due. */
function scheduleTick() {
  if (ticking) return;
  const rest = awaitsFirstRuns() ? 0 : Math.max(ticked + TICK_MS, state.dueAt.value) - performance.now();
  ticking = setTimeout(tickNow, rest);
}

/** Return whether the page waits for first frames; derived columns are shown before them. */
function awaitsFirstRuns() {
  return (
    !state.hasDrawn.value && state.slots.value.some(({ derived, columns }) => derived === null && columns.end === null)
  );
}

function tickNow() {
  clearTimeout(ticking);
  ticking = 0;
  ticked = performance.now();
  state.dataTick.value++;
}
