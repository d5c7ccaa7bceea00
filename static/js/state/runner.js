/** Keeps the runs those of the view: asks, follows, cancels. The latest view wins; at most one request is under way. */

import { effect } from '@preact/signals';
import { addFrame, createColumns } from '../data/columns.js';
import { haveClimbed } from '../data/drawing.js';
import { ApiError, cancelRun, compareRuns, estimateRun, getRun } from '../net/api.js';
import { hasServer } from '../net/sent.js';
import { boot } from './boot.js';
import { follow, noteLive, stopFollowing } from './follow.js';
import { keepRecord, keptIds, recallSpec } from './kept.js';
import * as state from './signals.js';
import { install, installKnown, isBeginning, isTrace, recallTrace, restoreWhole } from './slots.js';
import { hasValidNumbers } from './view/refusals.js';
import { defaultView, fromSpecs, TRACE, toSpec, toSpecs } from './view/spec.js';
import { tracesOf, withoutRecords } from './view/traces.js';

/** @typedef {import('./signals.js').Slot} Slot @typedef {import('../../types').Columns} Columns */

/** What is predicted to take longer is not started unasked. */
const AUTO_START_S = 6;
/** Runs that are predicted to be whole within this are drawn when they begin and when they are whole. */
const SHORT_S = 1;
/** How long runs in flight are left to draw their curves before a later view takes their place. */
const MIN_LIFE_MS = 800;

const NO_TRACE = 'not on this server, so it was left out';

const NOT_WRITTEN = 'this page has no server and no runs of these settings, so it shows the story';

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

/** Compute the view as it is now. `isAsked`: someone pressed Run, so however long it takes. @param {boolean} [isExplicit] */
export function requestRuns(isExplicit = false) {
  rest();
  queueRequest(isExplicit);
}

/** Compute the view when the hand rests or lets go: what can be known at once is there. */
export function requestSoon() {
  restingAt = performance.now() + REST_MS;
  clearTimeout(restTimer);
  restTimer = setTimeout(rest, REST_MS);
  state.isMoving.value = true;
  state.phase.value = 'checking';
  queueRequest(false);
}

/** The hand rests, or is gone: figures are drawn as they stay. */
function rest() {
  clearTimeout(restTimer);
  restingAt = 0;
  state.isMoving.value = false;
}

/** @param {boolean} isExplicit */
function queueRequest(isExplicit) {
  wanted = { isExplicit };
  clearTimeout(retryTimer);
  if (state.phase.value === 'idle') state.phase.value = 'checking';
  void pump();
}

/**
 * Show what is known of the view without the server, in the place of what is not its own; of all runs or of none. What is computed for
 * another view is given up. Returns whether there is anything.
 */
export function showKnown() {
  if (state.isOfView.value) return false;
  const known = recallView();
  if (known.length === 0 || known.includes(null)) return false;
  const requestKeys = state.requestKeys.value;
  stopFollowing();
  void cancelAll(requestKeys);
  installKnown(requestKeys, known);
  hurry();
  return true;
}

/** What is here of each run of the view; null of one of which nothing is. */
function recallView() {
  const view = state.settings.value;
  const fields = state.fields.value;
  if (!view.runs.every((choice) => hasValidNumbers(fields, view, choice))) return []; // the server says what is wrong with it
  return view.runs.map((choice) =>
    choice.kind === TRACE ? recallTrace(choice.trace ?? '') : recallSpec(toSpec(fields, view, choice)),
  );
}

/** Records have come that were asked for ahead: while the hand still moves they tell more of the view than its first layers. */
export function showMore() {
  const isWaiting = state.isMoving.value && state.isOfView.value && state.slots.value.some(isBeginning);
  const known = isWaiting ? recallView() : [];
  if (known.length > 0 && !known.some((item) => item === null || isBeginning(item)))
    installKnown(state.requestKeys.value, known);
}

async function pump() {
  if (isPumping) return;
  isPumping = true;
  try {
    while (wanted) {
      await untilMoved();
      await untilPointerRests();
      if (!wanted) break; // cancelled meanwhile
      const { isExplicit } = wanted;
      wanted = null;
      await start(isExplicit);
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
async function untilPointerRests() {
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

/** Whether the page has gone on to what it knows at once, and what was asked for is no longer looked for. @param {string[]} requestKeys */
function isOvertaken(requestKeys) {
  return state.isOfView.value && requestKeys.join() !== state.requestKeys.value.join();
}

/** @param {boolean} isExplicit */
async function start(isExplicit) {
  const specs = state.specs.value;
  const requestKeys = state.requestKeys.value;
  const view = state.settings.value;
  stopFollowing();
  estimating.abort();
  estimating = new AbortController();
  void cancelAll(requestKeys);
  const begun = performance.now();
  leaveAlone(begun); // by what the view before took, until more is known
  state.phase.value = 'running';
  isUnwanted = false;
  try {
    const missing = await findMissing(tracesOf(view));
    if (missing.length > 0) return leaveOut(missing);
    const { submitted, stream } = await compare(specs, isExplicit);
    if (isOvertaken(requestKeys)) {
      stream?.close();
      return void cancelOvertaken(submitted, specs);
    }
    const isStopped = submitted.some((run) => run.status === 'unstarted');
    if (isStopped && !hasServer) return await showRelated(submitted, requestKeys, stream);
    state.estimates.value = submitted.map(({ id, cost }) => ({ id, ...cost, admitted: true, errors: [] }));
    leaveAlone(begun);
    if (isStopped) {
      stream?.close();
      return awaitConfirmation();
    }
    state.problem.value = null;
    const places = toPlaces(view, submitted);
    install(
      places.map(({ id }) => id),
      state.labels.value,
      places.map(({ position }) => position),
      requestKeys,
    );
    follow(submitted.some((run) => run.status !== 'done') ? begun : null, resubmit, stream);
    if (isUnwanted) void cancelAll([]);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (isOvertaken(requestKeys)) return;
    refuse(error);
    void predict(specs);
  }
}

/** A view of traces alone asks for nothing to be computed. @param {any[]} specs @param {boolean} isExplicit @returns {Promise<{submitted: import('../../types').Submitted[], stream?: import('../net/api.js').EventStream}>} */
async function compare(specs, isExplicit) {
  return specs.length > 0 ? compareRuns(specs, isExplicit ? null : AUTO_START_S, keptIds()) : { submitted: [] };
}

/** Which record each place shows: that of its trace, or of the next run that was submitted. @param {import('../../types').View} view @param {import('../../types').Submitted[]} submitted */
function toPlaces(view, submitted) {
  const runs = [...submitted];
  return view.runs.map(({ trace }) =>
    trace === undefined ? /** @type {import('../../types').Submitted} */ (runs.shift()) : { id: trace, position: null },
  );
}

/** Traces that this server does not have; of those that it has, whether they are still written. @param {string[]} ids @returns {Promise<string[]>} */
async function findMissing(ids) {
  const unknown = ids.filter((id) => recallTrace(id) === null);
  const found = await Promise.all(unknown.map(findTrace));
  return found.flatMap((isThere, place) => (isThere ? [] : [unknown[place]]));
}

/** @param {string} id */
async function findTrace(id) {
  try {
    const { spec, status } = await getRun(id);
    noteLive(id, status === 'running');
    return spec === null;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return false;
    throw error;
  }
}

/** Go on without traces that are not on this server. @param {string[]} ids */
function leaveOut(ids) {
  const left = withoutRecords(state.view.value, ids);
  state.batch(() => {
    state.notices.value = [...state.notices.value, ...ids.map((id) => `recording ${id}: ${NO_TRACE}`)];
    state.view.value = left.runs.length > 0 ? left : { ...left, runs: defaultView(boot.rules).runs };
  });
  requestRuns();
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

/**
 * Without a server: show what follows from related runs, which the answer brings, or the last whole runs where that is not all.
 * @param {import('../../types').Submitted[]} submitted
 * @param {string[]} requestKeys
 * @param {import('../net/api.js').EventStream} [stream]
 */
async function showRelated(submitted, requestKeys, stream) {
  const records = new Map(submitted.map(({ id }) => [id, createColumns()]));
  for await (const batch of stream?.batches ?? []) {
    for (const { data } of batch) addFrame(/** @type {Columns} */ (records.get(data.run)), data);
  }
  for (const [id, columns] of records) if (columns.end) keepRecord(id, columns);
  if (isOvertaken(requestKeys)) return;
  if (state.slots.value.length === 0) return showInstead(requestKeys);
  const known = recallView();
  const isKnown = known.length > 0 && known.every((item) => item !== null && !isBeginning(item));
  state.batch(() => {
    state.problem.value = null;
    state.estimates.value = [];
    if (!isKnown) restoreWhole();
    else if (!state.isOfView.value || state.slots.value.some(isBeginning)) installKnown(requestKeys, known);
    state.phase.value = isKnown ? 'idle' : 'asking';
  });
}

/** Nothing is shown yet, so there is nothing to keep: show the opening view. @param {string[]} requestKeys */
function showInstead(requestKeys) {
  const opening = fromSpecs(state.fields.value, boot.rules.opening);
  const wanted = toSpecs(state.fields.value, opening).map((spec) => JSON.stringify(spec));
  const isOpening = wanted.join('\n') === requestKeys.join('\n');
  state.batch(() => {
    state.phase.value = 'asking';
    if (isOpening) return; // the site lacks a file
    state.notices.value = [...state.notices.value, NOT_WRITTEN];
    state.view.value = opening;
  });
  if (!isOpening) requestRuns();
}

async function awaitConfirmation() {
  await cancelAll([]);
  state.problem.value = null;
  state.phase.value = 'asking';
}

/** @param {ApiError} error */
function refuse(error) {
  void cancelAll([]);
  state.batch(() => {
    if (error.retryAfter_s === null) restoreWhole();
    state.problem.value = error;
    state.phase.value = error.retryAfter_s === null ? 'refused' : 'busy';
    state.spoken.value = `${error.title}: ${error.message}`;
  });
  if (error.retryAfter_s !== null) retryTimer = setTimeout(requestRuns, error.retryAfter_s * 1000);
}

/** Cancel what is still computed and not among what is wanted now; at once, for it holds that up. A trace is not ours to end. @param {string[]} requestKeys */
async function cancelAll(requestKeys) {
  const live = state.slots.value.filter((slot) => slot.columns.end === null && !isTrace(slot));
  await cancelEach(live.flatMap((slot) => (slot.id && !requestKeys.includes(slot.requestKey ?? '') ? [slot.id] : [])));
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
export function showSnapshot(ids, labels) {
  stopFollowing();
  install(ids, labels);
  state.phase.value = 'running';
  follow(null, resubmit);
}

/** The same spec is the same run: a server that lost it is given the spec again. A trace can only be left out. @param {string[]} gone */
function resubmit(gone) {
  const traces = tracesOf(state.view.value).filter((id) => gone.includes(id));
  if (traces.length > 0) leaveOut(traces);
  else requestRuns(true);
}

/** What a stored run was made from; null of a trace. @param {string} id @returns {Promise<any>} */
export const readSpec = async (id) => (await getRun(id)).spec;
