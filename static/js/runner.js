/** Keeps the runs those of the view: asks, follows, cancels. The latest view wins; at most one request is under way. */

import { ApiError, cancelRun, compareRuns, estimateRun, getRun } from './api.js';
import { addFrame, createColumns } from './columns.js';
import { noteStep } from './pace.js';
import { toSpecs } from './spec.js';
import * as state from './state.js';
import { followRuns } from './stream.js';

/** @typedef {import('./state.js').Slot} Slot @typedef {import('../types').Columns} Columns */

/** What is predicted to take longer is not started unasked. */
const UNASKED_S = 6;
const KEPT_RUNS = 24;
/** How long runs in flight are left to draw a first curve before a later view takes their place. */
const LEAST_LIFE_MS = 200;

/** Whole results by id, the latest last. @type {Map<string, Columns>} */
const kept = new Map();
/** @type {{isAsked: boolean} | null} */
let wanted = null;
let isPumping = false;
let following = new AbortController();
let estimating = new AbortController();
let retryTimer = 0;
/** Cancel was pressed after the request went out and before the answer named the runs. */
let isUnwanted = false;

/** Compute the view as it is now. `isAsked`: someone pressed Run, so however long it takes. @param {boolean} [isAsked] */
export function requestRuns(isAsked = false) {
  wanted = { isAsked };
  clearTimeout(retryTimer);
  if (state.phase.value === 'idle') state.phase.value = 'checking';
  void pump();
}

async function pump() {
  if (isPumping) return;
  isPumping = true;
  try {
    while (wanted) {
      await untilMoved();
      if (!wanted) break; // cancelled meanwhile
      const { isAsked } = wanted;
      wanted = null;
      await start(isAsked);
    }
  } finally {
    isPumping = false;
  }
}

/** Until something of the runs in flight has been drawn: a hand that moves on and on must see curves follow. */
async function untilMoved() {
  if (state.phase.value !== 'running' || state.hasMoved.value) return;
  let stop = () => {};
  await new Promise((resolve) => {
    const timer = setTimeout(resolve, LEAST_LIFE_MS);
    const stopLooking = state.hasMoved.subscribe((hasMoved) => hasMoved && resolve(undefined));
    stop = () => (clearTimeout(timer), stopLooking());
  });
  stop();
}

/** @param {boolean} isAsked */
async function start(isAsked) {
  const specs = toSpecs(state.fields.value, state.view.value);
  const labels = state.labels.value;
  following.abort();
  try {
    const isShort = await isShortEnough(specs);
    if (!isShort && !isAsked) return stopUnasked();
    state.phase.value = 'running';
    isUnwanted = false;
    const begun = performance.now();
    const submitted = await compareRuns(specs);
    const ids = submitted.map((run) => run.id);
    void cancelAll(ids);
    state.problem.value = null;
    install(ids, labels, submitted);
    follow(submitted.some((run) => run.status !== 'done') ? begun : null);
    if (isUnwanted) void cancelAll([]);
  } catch (error) {
    refuse(error);
  }
}

/** Estimates, shown beside Run before anything starts. What would be refused is asked for at once: that costs nothing. @param {any[]} specs */
async function isShortEnough(specs) {
  estimating.abort();
  estimating = new AbortController();
  const { signal } = estimating;
  const estimates = await Promise.all(specs.map((spec) => estimateRun(spec, signal)));
  state.estimates.value = estimates;
  const seconds = estimates.reduce((total, item) => total + item.seconds, 0);
  return seconds <= UNASKED_S || estimates.some((item) => !item.admitted);
}

function stopUnasked() {
  state.problem.value = null;
  state.phase.value = 'asking';
  return cancelAll([]);
}

/** @param {unknown} error */
function refuse(error) {
  if (!(error instanceof ApiError)) throw error;
  void cancelAll([]);
  state.batch(() => {
    state.problem.value = error;
    state.phase.value = error.retryAfter_s === null ? 'refused' : 'busy';
    state.spoken.value = `${error.title}: ${error.message}`;
  });
  if (error.retryAfter_s !== null) retryTimer = setTimeout(requestRuns, error.retryAfter_s * 1000);
}

/** Cancel what is still computed and no longer shown. @param {string[]} except */
async function cancelAll(except) {
  const live = state.slots.value.filter((slot) => slot.columns.end === null && !except.includes(slot.id));
  const ids = new Set(live.map((slot) => slot.id));
  // A run that has ended meanwhile, or is gone, needs no cancelling: whatever the answer is, there is nothing to do.
  await Promise.allSettled([...ids].map(cancelRun));
}

/** Someone pressed Cancel. */
export async function cancelRuns() {
  wanted = null;
  isUnwanted = true;
  clearTimeout(retryTimer);
  await cancelAll([]);
}

/** @param {string[]} ids @param {string[]} labels @param {{position: number | null}[]} [submitted] */
function install(ids, labels, submitted) {
  /** @type {Map<string, Columns>} */
  const fresh = new Map();
  const old = state.slots.value;
  state.hasMoved.value = false;
  state.slots.value = ids.map((id, index) => {
    const columns = kept.get(id) ?? fresh.get(id) ?? createColumns();
    fresh.set(id, columns);
    return { id, label: labels[index], columns, place: submitted?.[index].position ?? null, previous: lastShown(old[index]) };
  });
}

/** @param {Slot | undefined} slot @returns {Slot['previous']} */
function lastShown(slot) {
  if (!slot) return null;
  return slot.columns.end?.status === 'done' ? { columns: slot.columns, label: slot.label } : (slot.previous ?? null);
}

/** Show stored runs as they are, without a spec. @param {string[]} ids @param {string[]} labels */
export function showStored(ids, labels) {
  following.abort();
  install(ids, labels);
  state.phase.value = 'running';
  follow(null);
}

/** @param {number | null} begun when the request was sent, null where everything was stored */
function follow(begun) {
  following = new AbortController();
  const { signal } = following;
  const byId = new Map(state.slots.value.map((slot) => [slot.id, slot.columns]));
  const open = [...byId].filter(([, columns]) => columns.end === null).map(([id]) => id);
  const finish = () => {
    state.elapsed_s.value = begun === null ? null : (performance.now() - begun) / 1000;
    conclude(byId);
  };
  tick();
  if (open.length === 0) return finish();
  followRuns(
    open,
    {
      onFrame(frame) {
        const columns = byId.get(frame.run);
        if (!columns) return;
        addFrame(columns, frame);
        if (frame.type === 'step') noteStep(columns, performance.now());
        tick();
        if ([...byId.values()].every((item) => item.end !== null)) finish();
      },
      onStatus: setPlace,
      onConnection(isUp) {
        state.isConnected.value = isUp;
      },
      onRefused: () => void askAgain(open[0], signal),
    },
    signal,
  );
}

/** A server that no longer has the run, as with an emptied data folder, is given its spec again: the same spec is the same run. @param {string} id @param {AbortSignal} signal */
async function askAgain(id, signal) {
  const isGone = await getRun(id).then(() => false, (error) => error instanceof ApiError && error.status === 404);
  if (isGone && !signal.aborted && state.snapshot.value === null) requestRuns(true);
}

/** @param {Map<string, Columns>} byId */
function conclude(byId) {
  for (const [id, columns] of byId) {
    if (columns.end?.status === 'done') keep(id, columns);
  }
  state.batch(() => {
    state.phase.value = 'idle';
    state.isConnected.value = true;
    const sentences = state.slots.value.map((slot) => slot.columns.summary?.findings[0]?.text ?? slot.columns.end?.reason ?? '');
    state.spoken.value = state.slots.value.map((slot, index) => `${slot.label}: ${sentences[index]}`).join(' ');
  });
}

/** @param {string} id @param {Columns} columns */
function keep(id, columns) {
  kept.delete(id);
  kept.set(id, columns);
  for (const oldest of [...kept.keys()].slice(0, -KEPT_RUNS)) kept.delete(oldest);
}

/** @param {{run: string, position: number | null}} status */
function setPlace({ run, position }) {
  state.slots.value = state.slots.value.map((slot) => (slot.id === run ? { ...slot, place: position } : slot));
}

let isTicking = false;

/** Tell the figures, at most once an animation frame. */
function tick() {
  if (isTicking) return;
  isTicking = true;
  requestAnimationFrame(() => {
    isTicking = false;
    state.dataTick.value++;
  });
}

/** What a stored run was made from. @param {string} id @returns {Promise<any>} */
export const readSpec = async (id) => (await getRun(id)).spec;
