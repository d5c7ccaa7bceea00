/** Frames of the records in flight, into the columns of their places, and what follows when all are shown. */

import { addFrame } from '../data/columns.js';
import { ApiError, getRun } from '../net/api.js';
import { followRuns } from '../net/stream.js';
import { keepRecord } from './kept.js';
import { noteStep } from './pace.js';
import * as state from './signals.js';
import { confirm, isTrace, noteTraces, noteWhole, setPlace } from './slots.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('./signals.js').Slot} Slot @typedef {Map<string, Columns>} Records */

/** Frames come far faster than anybody reads; to tell of each would take the time from those who compute. */
const TICK_MS = 100;

let following = new AbortController();
/** Traces that are followed: they go on while runs come and go. */
let traced = { ids: '', following: new AbortController() };
/** Traces that someone's training still writes: the page waits for their beginning and not for their end. @type {Set<string>} */
const live = new Set();

/** Take no more frames of runs. */
export const stopFollowing = () => following.abort();

/** Whether a trace is still written. @param {string} id @param {boolean} isLive */
export const noteLive = (id, isLive) => void (isLive ? live.add(id) : live.delete(id));

/**
 * @param {number | null} begun when the request was sent, null where everything was stored
 * @param {(gone: string[]) => void} onGone the server no longer has records of these ids
 * @param {import('../net/api.js').EventStream} [stream] the answer to that request
 */
export function follow(begun, onGone, stream) {
  following = new AbortController();
  const { signal } = following;
  let isOver = false;
  const finish = () => {
    isOver = true;
    state.elapsed_s.value = begun === null ? null : (performance.now() - begun) / 1000;
    conclude();
  };
  const look = () => {
    if (!isOver && !signal.aborted && state.slots.value.every(isShown)) finish();
  };
  tick();
  followTraces(look, onGone);
  const runs = openOf(state.slots.value.filter((slot) => !isTrace(slot)));
  if (runs.size === 0) stream?.close();
  else followRecords(runs, { look, onGone, signal, stream });
  look();
}

/** Whether a place shows all that is awaited. @param {Slot} slot */
const isShown = ({ id, columns }) => columns.end !== null || (live.has(id) && columns.start !== null);

/** Records that have not ended. @param {Slot[]} slots @returns {Records} */
const openOf = (slots) =>
  new Map(slots.filter(({ columns }) => columns.end === null).map(({ id, columns }) => [id, columns]));

/** Follow the traces of the view that are not whole; one that is followed already goes on. @param {() => void} look @param {(gone: string[]) => void} onGone */
function followTraces(look, onGone) {
  const open = openOf(state.slots.value.filter(isTrace));
  const ids = [...open.keys()].join();
  lookAgain = look;
  if (ids === traced.ids) return;
  traced.following.abort();
  traced = { ids, following: new AbortController() };
  if (open.size > 0) followRecords(open, { look: () => lookAgain(), onGone, signal: traced.following.signal });
}

/** What the latest view does with a frame of a trace. */
let lookAgain = () => {};

/** @param {Records} open @param {{look: () => void, onGone: (gone: string[]) => void, signal: AbortSignal, stream?: import('../net/api.js').EventStream}} then */
function followRecords(open, { look, onGone, signal, stream }) {
  const after = new Map([...open].map(([id, columns]) => [id, columns.last]));
  followRuns(
    after,
    {
      onFrame(frame) {
        const columns = open.get(frame.run);
        if (!columns) return;
        addFrame(columns, frame);
        if (frame.type === 'start') noteTraces();
        if (frame.type === 'step') noteStep(columns, performance.now());
        if (frame.type === 'end' && live.delete(frame.run) && state.phase.value === 'idle') conclude();
        tick();
        look();
      },
      onStatus: setPlace,
      onConnection(isUp) {
        state.isConnected.value = isUp;
      },
      onRefused: () => void reportGone([...open.keys()], signal, onGone),
    },
    signal,
    stream,
  );
}

/** Tell of a server that no longer has records, as with an emptied data folder. @param {string[]} ids @param {AbortSignal} signal @param {(gone: string[]) => void} onGone */
async function reportGone(ids, signal, onGone) {
  const gone = (await Promise.all(ids.map(isGone))).flatMap((is, place) => (is ? [ids[place]] : []));
  if (gone.length > 0 && !signal.aborted && state.snapshot.value === null) onGone(gone);
}

/** @param {string} id */
const isGone = (id) =>
  getRun(id).then(
    () => false,
    (error) => error instanceof ApiError && error.status === 404,
  );

/** Keep what is whole, and say what was found. */
function conclude() {
  for (const { id, columns } of state.slots.value) {
    if (columns.end?.status === 'done') keepRecord(id, columns);
  }
  state.slots.value = state.slots.value.map(confirm);
  noteWhole();
  state.batch(() => {
    state.phase.value = 'idle';
    tickNow();
    state.isConnected.value = true;
    const sentences = state.slots.value.map(
      (slot) => slot.columns.summary?.findings[0]?.text ?? slot.columns.end?.reason ?? '',
    );
    state.spoken.value = state.slots.value.map((slot, index) => `${slot.label}: ${sentences[index]}`).join(' ');
  });
}

let ticking = 0;
let ticked = 0;

/** Tell the page: of the first frames at once, of those that follow a few times a second, of short runs when they are due. */
function tick() {
  if (ticking) return;
  const rest = isAwaited() ? 0 : Math.max(ticked + TICK_MS, state.dueAt.value) - performance.now();
  ticking = setTimeout(tickNow, rest);
}

/** Whether the first frames bring what the page does not show yet: what is known of all runs at once is there before them. */
function isAwaited() {
  return (
    !state.hasMoved.value && state.slots.value.some(({ known, columns }) => known === null && columns.end === null)
  );
}

function tickNow() {
  clearTimeout(ticking);
  ticking = 0;
  ticked = performance.now();
  state.dataTick.value++;
}
