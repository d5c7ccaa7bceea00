/** Frames of the runs in flight, into the columns of their places, and what follows when all have ended. */

import { addFrame } from '../data/columns.js';
import { ApiError, getRun } from '../net/api.js';
import { followRuns } from '../net/stream.js';
import { keepRecord } from './kept.js';
import { noteStep } from './pace.js';
import * as state from './signals.js';
import { confirm, noteTraces, setPlace } from './slots.js';

/** @typedef {import('../../types').Columns} Columns */

/** Frames come far faster than anybody reads; to tell of each would take the time from those who compute. */
const TICK_MS = 100;

let following = new AbortController();

/** Take no more frames. */
export const stopFollowing = () => following.abort();

/**
 * @param {number | null} begun when the request was sent, null where everything was stored
 * @param {() => void} onGone the server no longer has the runs
 * @param {import('../net/api.js').EventStream} [stream] the answer to that request
 */
export function follow(begun, onGone, stream) {
  following = new AbortController();
  const { signal } = following;
  const byId = new Map(state.slots.value.map((slot) => [slot.id, slot.columns]));
  const open = [...byId].filter(([, columns]) => columns.end === null).map(([id]) => id);
  const finish = () => {
    state.elapsed_s.value = begun === null ? null : (performance.now() - begun) / 1000;
    conclude(byId);
  };
  tick();
  if (open.length === 0) {
    stream?.close();
    return finish();
  }
  followRuns(
    open,
    {
      onFrame(frame) {
        const columns = byId.get(frame.run);
        if (!columns) return;
        addFrame(columns, frame);
        if (frame.type === 'start') noteTraces();
        if (frame.type === 'step') noteStep(columns, performance.now());
        tick();
        if ([...byId.values()].every((item) => item.end !== null)) finish();
      },
      onStatus: setPlace,
      onConnection(isUp) {
        state.isConnected.value = isUp;
      },
      onRefused: () => void tellGone(open[0], signal, onGone),
    },
    signal,
    stream,
  );
}

/** Tell of a server that no longer has the run, as with an emptied data folder. @param {string} id @param {AbortSignal} signal @param {() => void} onGone */
async function tellGone(id, signal, onGone) {
  const isGone = await getRun(id).then(
    () => false,
    (error) => error instanceof ApiError && error.status === 404,
  );
  if (isGone && !signal.aborted && state.snapshot.value === null) onGone();
}

/** @param {Map<string, Columns>} byId */
function conclude(byId) {
  for (const [id, columns] of byId) {
    if (columns.end?.status === 'done') keepRecord(id, columns);
  }
  state.slots.value = state.slots.value.map(confirm);
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

/** Tell the page: of the first frames at once, of those that follow a few times a second. */
function tick() {
  if (ticking) return;
  const rest = state.hasMoved.value ? ticked + TICK_MS - performance.now() : 0;
  ticking = setTimeout(tickNow, rest);
}

function tickNow() {
  clearTimeout(ticking);
  ticking = 0;
  ticked = performance.now();
  state.dataTick.value++;
}
