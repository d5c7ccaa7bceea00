/** Keeps the runs those of the view: asks, follows, cancels. The latest view wins; at most one request is under way. */

import { effect } from '@preact/signals';
import { haveClimbed } from '../data/drawing.js';
import { ApiError, cancelRun, compareRuns, estimateRun, getRun } from '../net/api.js';
import { follow, stopFollowing } from './follow.js';
import { keptIds, recallSpec } from './kept.js';
import * as state from './signals.js';
import { install, installKnown } from './slots.js';
import { toSpecs } from './view/spec.js';

/** @typedef {import('./signals.js').Slot} Slot @typedef {import('../../types').Columns} Columns */

/** What is predicted to take longer is not started unasked. */
const UNASKED_S = 6;
/** Runs that are predicted to be whole within this are drawn when they begin and when they are whole. */
const SHORT_S = 1;
/** How long runs in flight are left to draw their curves before a later view takes their place. */
const MIN_LIFE_MS = 800;

/** A hand that rests so long wants what only the server can tell. */
const REST_MS = 150;

/** @type {{isAsked: boolean} | null} */
let wanted = null;
let isPumping = false;
let estimating = new AbortController();
let retryTimer = 0;
/** Until when a hand that moves is left alone, in ms of the page's clock. */
let restingAt = 0;
let restTimer = 0;
let hurry = () => {};
/** Cancel was pressed after the request went out and before the answer named the runs. */
let isUnwanted = false;

/** Compute the view as it is now. `isAsked`: someone pressed Run, so however long it takes. @param {boolean} [isAsked] */
export function requestRuns(isAsked = false) {
  rest();
  ask(isAsked);
}

/** Compute the view when the hand rests or lets go: what can be known at once is there. */
export function requestSoon() {
  restingAt = performance.now() + REST_MS;
  clearTimeout(restTimer);
  restTimer = setTimeout(rest, REST_MS);
  state.isMoving.value = true;
  state.phase.value = 'checking';
  ask(false);
}

/** The hand rests, or is gone: figures are drawn as they stay. */
function rest() {
  clearTimeout(restTimer);
  restingAt = 0;
  state.isMoving.value = false;
}

/** @param {boolean} isAsked */
function ask(isAsked) {
  wanted = { isAsked };
  clearTimeout(retryTimer);
  if (state.phase.value === 'idle') state.phase.value = 'checking';
  void pump();
}

/**
 * Show what is known of the view without the server, in the place of what is not its own; of all runs or of none. What is computed for
 * another view is given up. Returns whether there is anything.
 */
export function showAtOnce() {
  const specs = state.specs.value;
  if (state.isOfView.value) return false;
  const known = specs.map(recallSpec);
  if (known.length === 0 || known.includes(null)) return false;
  stopFollowing();
  void cancelAll(specs);
  installKnown(specs, known);
  hurry();
  return true;
}

async function pump() {
  if (isPumping) return;
  isPumping = true;
  try {
    while (wanted) {
      await untilMoved();
      await untilResting();
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

/** Until the hand has not moved for a while, or lets go. */
async function untilResting() {
  for (let left = restingAt - performance.now(); left > 0; left = restingAt - performance.now()) {
    await new Promise((resolve) => {
      hurry = () => resolve(undefined);
      setTimeout(hurry, left);
    });
  }
}

/** The hand has let go: what it left is wanted now, and what is in flight no longer. */
export function hurryRuns() {
  rest();
  hurry();
}

/** Whether the page has gone on to what it knows at once, and what these specs were asked for is no longer looked for. @param {any[]} specs */
function isOvertaken(specs) {
  return state.isOfView.value && JSON.stringify(specs) !== JSON.stringify(state.specs.value);
}

/** @param {boolean} isAsked */
async function start(isAsked) {
  const specs = toSpecs(state.fields.value, state.view.value);
  const labels = state.labels.value;
  stopFollowing();
  estimating.abort();
  estimating = new AbortController();
  void cancelAll(specs);
  const begun = performance.now();
  leaveAlone(begun); // by what the view before took, until more is known
  state.phase.value = 'running';
  isUnwanted = false;
  try {
    const { submitted, stream } = await compareRuns(specs, isAsked ? null : UNASKED_S, keptIds());
    if (isOvertaken(specs)) {
      stream.close();
      return void cancelOvertaken(submitted, specs);
    }
    state.estimates.value = submitted.map(({ id, cost }) => ({ id, ...cost, admitted: true, errors: [] }));
    leaveAlone(begun);
    if (submitted.some((run) => run.status === 'unstarted')) {
      stream.close();
      return stopUnasked();
    }
    const ids = submitted.map((run) => run.id);
    state.problem.value = null;
    install(ids, labels, submitted, specs);
    follow(submitted.some((run) => run.status !== 'done') ? begun : null, askAgain, stream);
    if (isUnwanted) void cancelAll([]);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (isOvertaken(specs)) return;
    refuse(error);
    void predict(specs);
  }
}

/** What runs that were refused would take, and what of them is too much. @param {any[]} specs */
async function predict(specs) {
  const { signal } = estimating;
  try {
    state.estimates.value = await Promise.all(specs.map((spec) => estimateRun(spec, specs.length, signal)));
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof ApiError)) throw error;
    if (error.status > 0) state.problem.value = error; // that the server is away is told by the stream of the runs
  }
}

/** Leave short runs the time that they will take, as predicted, unless a hand is on a slider. @param {number} begun */
function leaveAlone(begun) {
  const predicted_s = state.predicted.value.high_s;
  state.dueAt.value = predicted_s <= SHORT_S && !state.isDragging.value ? begun + 1000 * predicted_s : 0;
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
  await cancelEach(live.flatMap(({ id }) => (id ? [id] : [])));
}

/** What was started for a view that is left, but for what the view has still. @param {import('../../types').Submitted[]} submitted @param {any[]} specs */
function cancelOvertaken(submitted, specs) {
  const texts = state.specs.value.map((spec) => JSON.stringify(spec));
  const isWanted = (/** @type {number} */ place) => texts.includes(JSON.stringify(specs[place]));
  return cancelEach(
    submitted.flatMap(({ id, status }, place) => (status === 'unstarted' || isWanted(place) ? [] : [id])),
  );
}

/** @param {string[]} ids */
async function cancelEach(ids) {
  // A run that has ended meanwhile, or is gone, needs no cancelling: whatever the answer is, there is nothing to do.
  await Promise.allSettled([...new Set(ids)].map(cancelRun));
}

/** Someone pressed Cancel. */
export async function cancelRuns() {
  wanted = null;
  isUnwanted = true;
  clearTimeout(retryTimer);
  await cancelAll([]);
}

/** Show stored runs as they are, without a spec. @param {string[]} ids @param {string[]} labels */
export function showStored(ids, labels) {
  stopFollowing();
  install(ids, labels);
  state.phase.value = 'running';
  follow(null, askAgain);
}

/** The same spec is the same run: a server that lost it is given the spec again. */
const askAgain = () => requestRuns(true);

/** What a stored run was made from; null of a trace. @param {string} id @returns {Promise<any>} */
export const readSpec = async (id) => (await getRun(id)).spec;
