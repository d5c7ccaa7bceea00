/** Keeps the runs those of the view: asks, follows, cancels. The latest view wins; at most one request is under way. */

import { effect } from '@preact/signals';
import { addFrame, createColumns } from '../data/columns.js';
import { haveClimbed } from '../data/drawing.js';
import { modelOf } from '../data/record.js';
import { ApiError, cancelRun, compareRuns, estimateRun, getRun } from '../net/api.js';
import { followRuns } from '../net/stream.js';
import { noteStep } from './pace.js';
import * as state from './signals.js';
import { TRACE, toSpecs } from './spec.js';

/** @typedef {import('./signals.js').Slot} Slot @typedef {import('../../types').Columns} Columns */

/** What is predicted to take longer is not started unasked. */
const UNASKED_S = 6;
/** Runs that are predicted to be whole within this are drawn when they begin and when they are whole. */
const SHORT_S = 1;
/** And this many times longer than predicted, for browser and server take their part of the cores. */
const SHARED = 1.5;
const KEPT_RUNS = 24;
/** How long runs in flight are left to draw their curves before a later view takes their place. */
const MIN_LIFE_MS = 300;

/** Frames come far faster than anybody reads; to tell of each would take the time from those who compute. */
const TICK_MS = 100;

/** Whole results by id, the latest last. @type {Map<string, Columns>} */
const kept = new Map();
/** @type {{isAsked: boolean} | null} */
let wanted = null;
let isPumping = false;
let following = new AbortController();
let estimating = new AbortController();
let retryTimer = 0;
let hurry = () => {};
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

/**
 * Until all runs in flight have gone up the stack and that has been drawn: a hand that moves on and on must see curves
 * follow, not the beginnings of some.
 */
async function untilMoved() {
  if (state.phase.value !== 'running') return;
  let stop = () => {};
  await new Promise((resolve) => {
    const done = () => resolve(undefined);
    hurry = done;
    const timer = setTimeout(done, MIN_LIFE_MS);
    const stopLooking = effect(() => {
      state.dataTick.value;
      if (state.hasMoved.value && haveClimbed(state.slots.value)) requestAnimationFrame(() => setTimeout(done)); // behind the drawings
    });
    stop = () => {
      clearTimeout(timer);
      stopLooking();
    };
  });
  stop();
}

/** The hand has let go: what it left is wanted now, and what is in flight no longer. */
export function hurryRuns() {
  hurry();
}

/** @param {boolean} isAsked */
async function start(isAsked) {
  const specs = toSpecs(state.fields.value, state.view.value);
  const labels = state.labels.value;
  following.abort();
  estimating.abort();
  estimating = new AbortController();
  void cancelAll(specs);
  const begun = performance.now();
  leaveAlone(begun); // by what the view before took, until more is known
  state.phase.value = 'running';
  isUnwanted = false;
  try {
    const { submitted, stream } = await compareRuns(specs, isAsked ? null : UNASKED_S, [...kept.keys()]);
    state.estimates.value = submitted.map(({ id, cost }) => ({ id, ...cost, admitted: true, errors: [] }));
    leaveAlone(begun);
    if (submitted.some((run) => run.status === 'unstarted')) {
      stream.close();
      return stopUnasked();
    }
    const ids = submitted.map((run) => run.id);
    state.problem.value = null;
    install(ids, labels, submitted, specs);
    follow(submitted.some((run) => run.status !== 'done') ? begun : null, stream);
    if (isUnwanted) void cancelAll([]);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    refuse(error);
    void predict(specs);
  }
}

/** What runs that were refused would take, and what of them is too much. @param {any[]} specs */
async function predict(specs) {
  const { signal } = estimating;
  try {
    state.estimates.value = await Promise.all(specs.map((spec) => estimateRun(spec, signal)));
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof ApiError)) throw error;
    if (error.status > 0) state.problem.value = error; // that the server is away is told by the stream of the runs
  }
}

/** Leave short runs the time that they will take, as predicted, unless a hand is on a slider. @param {number} begun */
function leaveAlone(begun) {
  const predicted_s = state.estimates.value.reduce((total, item) => total + item.seconds, 0);
  state.dueAt.value = predicted_s <= SHORT_S && !state.isDragging.value ? begun + 1000 * SHARED * predicted_s : 0;
}

async function stopUnasked() {
  await cancelAll([]);
  state.problem.value = null;
  state.phase.value = 'asking';
}

/** @param {ApiError} error */
function refuse(error) {
  void cancelAll([]);
  state.batch(() => {
    state.problem.value = error;
    state.phase.value = error.retryAfter_s === null ? 'refused' : 'busy';
    state.spoken.value = `${error.title}: ${error.message}`;
  });
  if (error.retryAfter_s !== null) retryTimer = setTimeout(requestRuns, error.retryAfter_s * 1000);
}

/** Cancel what is still computed and not among the specs that are wanted now; at once, for it holds them up. @param {any[]} wantedSpecs */
async function cancelAll(wantedSpecs) {
  const texts = wantedSpecs.map((spec) => JSON.stringify(spec));
  const live = state.slots.value.filter((slot) => slot.columns.end === null && !texts.includes(slot.spec ?? ''));
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

/** @param {string[]} ids @param {string[]} labels @param {{position: number | null}[]} [submitted] @param {any[]} [specs] */
function install(ids, labels, submitted, specs) {
  /** @type {Map<string, Columns>} */
  const fresh = new Map();
  const old = state.slots.value;
  state.hasMoved.value = false;
  state.slots.value = ids.map((id, index) => {
    const columns = kept.get(id) ?? fresh.get(id) ?? createColumns();
    fresh.set(id, columns);
    const place = submitted?.[index].position ?? null;
    return {
      id,
      spec: JSON.stringify(specs?.[index]),
      label: labels[index],
      columns,
      place,
      before: shownBefore(old[index]),
    };
  });
  noteTraces();
}

/** Let the view and its labels say which runs are traces, as their start frames do. */
function noteTraces() {
  const models = state.slots.value.map((slot) => modelOf(slot.columns));
  if (models.join() === state.models.value.join()) return;
  const { runs } = state.view.value;
  state.batch(() => {
    state.models.value = models;
    if (models.some(Boolean))
      state.view.value = { ...state.view.value, runs: models.map((model, run) => toChoice(model, runs[run])) };
    state.slots.value = state.slots.value.map((slot, run) => ({ ...slot, label: state.labels.value[run] }));
  });
}

/** @param {string | null} model @param {import('../../types').Choice | undefined} known @returns {import('../../types').Choice} */
function toChoice(model, known) {
  if (model === null) return known ?? { kind: TRACE, own: {} };
  return { kind: TRACE, own: {}, ...(known?.name ? { name: known.name } : {}) };
}

/** Of a run that was broken off, as in a drag, what it has stays in sight; what it has not, as it was before that. @param {Slot | undefined} slot @returns {Slot['before']} */
function shownBefore(slot) {
  if (!slot) return [];
  const { id, columns, label } = slot;
  const whole = columns.end?.status === 'done' ? [] : slot.before.filter((item) => item.columns.end?.status === 'done');
  return [{ id, columns, label }, ...whole];
}

/** Show stored runs as they are, without a spec. @param {string[]} ids @param {string[]} labels */
export function showStored(ids, labels) {
  following.abort();
  install(ids, labels);
  state.phase.value = 'running';
  follow(null);
}

/**
 * @param {number | null} begun when the request was sent, null where everything was stored
 * @param {import('../net/api.js').EventStream} [stream] the answer to that request
 */
function follow(begun, stream) {
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
      onRefused: () => void askAgain(open[0], signal),
    },
    signal,
    stream,
  );
}

/** A server that no longer has the run, as with an emptied data folder, is given its spec again: the same spec is the same run. @param {string} id @param {AbortSignal} signal */
async function askAgain(id, signal) {
  const isGone = await getRun(id).then(
    () => false,
    (error) => error instanceof ApiError && error.status === 404,
  );
  if (isGone && !signal.aborted && state.snapshot.value === null) requestRuns(true);
}

/** @param {Map<string, Columns>} byId */
function conclude(byId) {
  for (const [id, columns] of byId) {
    if (columns.end?.status === 'done') keep(id, columns);
  }
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

/** What a stored run was made from; null of a trace. @param {string} id @returns {Promise<any>} */
export const readSpec = async (id) => (await getRun(id)).spec;
