/** Keeps the runs in step with the view: requests, follows and cancels. The latest view wins; at most one request is running. */

import { effect } from '@preact/signals';
import { addFrame, createColumns } from '../data/columns.js';
import { areForwardCurvesComplete } from '../figures/drawing.js';
import { ApiError, cancelRun, compareRuns, estimateRun, getRun } from '../net/api.js';
import { hasServer } from '../net/sent.js';
import { boot } from './boot.js';
import { AUTO_START_S, dropPressed, takePresetRuns, takePressed } from './early.js';
import { followSlots, setLive, stopFollowing } from './follow.js';
import { keepRecord, keptIds, recallColumnsFor } from './records.js';
import { hasValidNumbers } from './refusals.js';
import * as state from './signals.js';
import { isBeginning, isTrace, recallTrace, restoreComplete, showDerivedColumns, showRunsById } from './slots.js';
import { defaultView, fromSpecs, TRACE, toLabels, toSpec, toSpecs } from './spec.js';
import { toRequestKey, tracesOf, withoutRecords } from './viewtraces.js';

/** @typedef {import('./signals.js').Slot} Slot @typedef {import('../../types').Columns} Columns */

/** Runs predicted to take at most this long are drawn twice: at the start and when complete. */
const SHORT_S = 1;
/** Time that running runs get to draw their curves before a later view replaces them. */
const MIN_LIFE_MS = 800;

const NO_TRACE = 'not on this server, so it was left out';

const NOT_WRITTEN = 'this page has no server and no runs of these settings, so it shows the story';

/** Status of refused settings: other runs may be allowed. */
const INVALID = 422;

/** After this long without movement, ask the server. */
const REST_MS = 150;

/** Time between two moves of a slider that texts follow. */
const TEXTS_MS = 100;

/** @type {{isExplicit: boolean} | null} */
let wanted = null;
let isDraining = false;
let estimating = new AbortController();
let retryTimer = 0;
/** Time until which a moving pointer delays requests, in ms of the page's clock. */
let restingAt = 0;
let restTimer = 0;
/** Time of the next move that texts follow, in ms of the page's clock. */
let textsAt = 0;
let endWait = () => {};
/** Whether Cancel was pressed after the request was sent and before the response named the runs. */
let isCancelled = false;

/** Request the runs of the view. `isExplicit`: the user pressed Run, so runs of any duration start; default false. @param {boolean} [isExplicit] */
export function requestRuns(isExplicit = false) {
  endMovement();
  queueRequest(isExplicit);
}

/** Request the runs of the view when the pointer rests or is released; derived columns are already shown. */
export function requestSoon() {
  const now = performance.now();
  restingAt = now + REST_MS;
  clearTimeout(restTimer);
  restTimer = setTimeout(endMovement, REST_MS);
  state.isMoving.value = true;
  if (now >= textsAt) {
    textsAt = now + TEXTS_MS;
    state.textTick.value++;
  }
  state.phase.value = 'checking';
  queueRequest(false);
}

/** Mark the end of a slider's movement: figures are drawn with Plotly again. */
function endMovement() {
  clearTimeout(restTimer);
  restingAt = 0;
  state.isMoving.value = false;
}

/** Queue a request for the runs of the view; it replaces a queued one. @param {boolean} isExplicit whether Run was pressed */
function queueRequest(isExplicit) {
  wanted = { isExplicit };
  clearTimeout(retryTimer);
  if (state.phase.value === 'idle') state.phase.value = 'checking';
  void drainQueue();
}

/**
 * Show derived columns of the view, of all runs or of none, and cancel runs of other views. Return whether anything was shown.
 */
export function showDerived() {
  if (state.matchesView.value) return false;
  const known = recallView();
  if (known.length === 0 || known.includes(null)) return false;
  const requestKeys = state.requestKeys.value;
  stopFollowing();
  void cancelAll(requestKeys);
  showDerivedColumns(requestKeys, known);
  endWait();
  return true;
}

/** Return the known columns of each run of the view, recorded or derived; null for unknown ones. [] if a setting is invalid. */
function recallView() {
  const view = state.settings.value;
  const fields = state.fields.value;
  if (!view.runs.every((choice) => hasValidNumbers(fields, view, choice))) return []; // the server describes the error
  return view.runs.map((choice) =>
    choice.kind === TRACE ? recallTrace(choice.trace ?? '') : recallColumnsFor(toSpec(fields, view, choice)),
  );
}

/** Show prefetched records during a drag if they contain more layers than those that are shown. */
export function showMore() {
  const isWaiting = state.isMoving.value && state.matchesView.value && state.slots.value.some(isBeginning);
  const known = isWaiting ? recallView() : [];
  if (known.length > 0 && !known.some((item) => item === null || isBeginning(item)))
    showDerivedColumns(state.requestKeys.value, known);
}

/** Send the queued request for runs once earlier curves are drawn and the pointer rests. */
async function drainQueue() {
  if (isDraining) return;
  isDraining = true;
  try {
    while (wanted) {
      await untilCurvesDrawn();
      await untilPointerRests();
      if (!wanted) break; // cancelled while waiting
      const { isExplicit } = wanted;
      wanted = null;
      await startRequest(isExplicit);
    }
  } finally {
    isDraining = false;
  }
}

/**
 * Wait until the forward curves of all runs are complete and drawn: during a long drag the user must see whole curves, not only their
 * first layers.
 */
async function untilCurvesDrawn() {
  if (state.phase.value !== 'running') return;
  let stop = () => {};
  await new Promise((resolve) => {
    const done = () => resolve(undefined);
    endWait = done;
    const timer = setTimeout(done, MIN_LIFE_MS);
    const stopLooking = effect(() => {
      state.dataTick.value;
      if (state.hasDrawn.value && areForwardCurvesComplete(state.slots.value))
        requestAnimationFrame(() => setTimeout(done)); // after the drawings
    });
    stop = () => {
      clearTimeout(timer);
      stopLooking();
    };
  });
  stop();
}

/** Wait until the pointer has not moved for a while, or is released. */
async function untilPointerRests() {
  for (let left = restingAt - performance.now(); left > 0; left = restingAt - performance.now()) {
    await new Promise((resolve) => {
      endWait = () => resolve(undefined);
      setTimeout(endWait, left);
    });
  }
}

/** Request the runs of the view immediately on release, and stop waiting for earlier ones. */
export function requestNow() {
  endMovement();
  endWait();
}

/** Return whether the page shows derived columns of another request meanwhile. @param {string[]} requestKeys */
function isSuperseded(requestKeys) {
  return state.matchesView.value && requestKeys.join() !== state.requestKeys.value.join();
}

/** Send the request of the view's runs and show its response. @param {boolean} isExplicit */
async function startRequest(isExplicit) {
  const specs = state.specs.value;
  const requestKeys = state.requestKeys.value;
  const view = state.settings.value;
  stopFollowing();
  estimating.abort();
  estimating = new AbortController();
  void cancelAll(requestKeys);
  const begun = performance.now();
  delayDrawing(begun); // use the previous estimates until the response arrives
  state.phase.value = 'running';
  isCancelled = false;
  try {
    const missing = await findMissing(tracesOf(view));
    if (missing.length > 0) return removeRecordings(missing);
    const { submitted, stream } = await submitSpecs(specs, isExplicit);
    if (isSuperseded(requestKeys)) {
      stream?.close();
      return void cancelSuperseded(submitted, specs);
    }
    const isStopped = submitted.some((run) => run.status === 'unstarted');
    if (isStopped && !hasServer) return await showRelated(submitted, requestKeys, stream);
    state.estimates.value = submitted.map(({ id, cost }) => ({ id, ...cost, admitted: true, errors: [] }));
    delayDrawing(begun);
    if (isStopped) {
      stream?.close();
      return awaitConfirmation();
    }
    state.problem.value = null;
    const places = toPlaces(view, submitted);
    showRunsById(
      places.map(({ id }) => id),
      state.labels.value,
      places.map(({ position }) => position),
      requestKeys,
    );
    followSlots(submitted.some((run) => run.status !== 'done') ? begun : null, resubmitLost, stream);
    if (isCancelled) void cancelAll([]);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (isSuperseded(requestKeys)) return;
    showRefusal(error);
    void estimateRefused(specs);
  }
}

/** Submit specs; a view with recordings only submits nothing. @param {any[]} specs @param {boolean} isExplicit @returns {Promise<{submitted: import('../../types').Submitted[], stream?: import('../net/api.js').EventStream}>} */
async function submitSpecs(specs, isExplicit) {
  if (specs.length === 0) return { submitted: [] };
  if (isExplicit) dropPressed();
  const early = takePresetRuns(state.view.value) ?? takePressed(specs);
  return early ?? compareRuns(specs, isExplicit ? null : AUTO_START_S, keptIds());
}

/** Assign a record to each slot: its recording, or the next submitted run. @param {import('../../types').View} view @param {import('../../types').Submitted[]} submitted */
function toPlaces(view, submitted) {
  const runs = [...submitted];
  return view.runs.map(({ trace }) =>
    trace === undefined ? /** @type {import('../../types').Submitted} */ (runs.shift()) : { id: trace, position: null },
  );
}

/** Find recordings that the server lacks, and note which of the others still grow. @param {string[]} ids @returns {Promise<string[]>} */
async function findMissing(ids) {
  const unknown = ids.filter((id) => recallTrace(id) === null);
  const found = await Promise.all(unknown.map(findTrace));
  return found.flatMap((isFound, index) => (isFound ? [] : [unknown[index]]));
}

/** Return whether the server has a recording. @param {string} id */
async function findTrace(id) {
  try {
    const { spec, status } = await getRun(id);
    setLive(id, status === 'running');
    return spec === null;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return false;
    throw error;
  }
}

/** Remove recordings that the server lacks from the view, with a notice. @param {string[]} ids */
function removeRecordings(ids) {
  const left = withoutRecords(state.view.value, ids);
  state.batch(() => {
    state.notices.value = [...state.notices.value, ...ids.map((id) => `recording ${id}: ${NO_TRACE}`)];
    state.view.value = left.runs.length > 0 ? left : { ...left, runs: defaultView(boot.rules).runs };
  });
  requestRuns();
}

/** Estimate refused runs, with the limits that they exceed. @param {any[]} specs */
async function estimateRefused(specs) {
  const { signal } = estimating;
  try {
    state.estimates.value = await Promise.all(specs.map((spec) => estimateRun(spec, specs.length, signal)));
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof ApiError)) throw error;
    if (error.status > 0) state.problem.value = error; // the event stream reports an unreachable server
  }
}

/** Delay drawing of short runs until their predicted end, unless a slider is dragged. @param {number} begun */
function delayDrawing(begun) {
  const predicted_s = state.predicted.value.high_s;
  state.dueAt.value = predicted_s <= SHORT_S && !state.isDragging.value ? begun + 1000 * predicted_s : 0;
}

/**
 * Without a server: show columns derived from the related runs in the response, or the last complete runs if they do not suffice.
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
  if (isSuperseded(requestKeys)) return;
  if (state.slots.value.length === 0) return showOpeningView(requestKeys);
  const known = recallView();
  const isKnown = known.length > 0 && known.every((item) => item !== null && !isBeginning(item));
  state.batch(() => {
    state.problem.value = null;
    state.estimates.value = [];
    if (!isKnown) restoreComplete();
    else if (!state.matchesView.value || state.slots.value.some(isBeginning)) showDerivedColumns(requestKeys, known);
    state.phase.value = isKnown ? 'idle' : 'unconfirmed';
  });
}

/** Show the opening view in place of runs that a static site does not have, with a notice. @param {string[]} requestKeys */
function showOpeningView(requestKeys) {
  const opening = fromSpecs(state.fields.value, boot.rules.opening);
  const wanted = toSpecs(state.fields.value, opening).map((spec) => JSON.stringify(spec));
  const isOpening = wanted.join('\n') === requestKeys.join('\n');
  state.batch(() => {
    state.phase.value = 'unconfirmed';
    if (isOpening) return; // the site lacks a file
    state.notices.value = [...state.notices.value, NOT_WRITTEN];
    state.view.value = opening;
  });
  if (!isOpening) requestRuns();
}

/** Cancel all runs, and wait until the user confirms a long computation with Run. */
async function awaitConfirmation() {
  await cancelAll([]);
  state.problem.value = null;
  state.phase.value = 'unconfirmed';
  if (state.slots.value.length === 0) void showOpeningRuns();
}

/** Show a refusal; retry later if the server is busy. @param {ApiError} error */
function showRefusal(error) {
  void cancelAll([]);
  state.batch(() => {
    if (error.retryAfter_s === null) restoreComplete();
    state.problem.value = error;
    state.phase.value = error.retryAfter_s === null ? 'refused' : 'busy';
    state.announcement.value = `${error.title}: ${error.message}`;
  });
  if (error.retryAfter_s !== null) retryTimer = setTimeout(requestRuns, error.retryAfter_s * 1000);
  else if (error.status === INVALID && state.slots.value.length === 0) void showOpeningRuns();
}

/** Show the runs of the opening view while the first view of the page is refused or waits for Run: they are dimmed, because they do not belong to its address. */
async function showOpeningRuns() {
  const opening = fromSpecs(state.fields.value, boot.rules.opening);
  try {
    const { submitted, stream } = await compareRuns(toSpecs(state.fields.value, opening), null, keptIds());
    if (!state.isBlocked.value || state.slots.value.length > 0) return stream.close();
    showRunsById(
      submitted.map(({ id }) => id),
      toLabels(opening, state.fields.value, boot.rules),
      submitted.map(({ position }) => position),
      opening.runs.map((choice) => toRequestKey(state.fields.value, opening, choice)),
    );
    followSlots(null, resubmitLost, stream);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    console.error(error); // the page keeps the reason why it does not show the runs of the view
  }
}

/** Cancel running runs that the view does not need, because they delay others. Recordings are never cancelled. @param {string[]} requestKeys */
async function cancelAll(requestKeys) {
  const live = state.slots.value.filter((slot) => slot.columns.end === null && !isTrace(slot));
  await cancelByIds(live.flatMap((slot) => (slot.id && !requestKeys.includes(slot.requestKey ?? '') ? [slot.id] : [])));
}

/** Cancel the runs of an outdated request, except those of the current view. @param {import('../../types').Submitted[]} submitted @param {any[]} specs */
function cancelSuperseded(submitted, specs) {
  const texts = state.specs.value.map((spec) => JSON.stringify(spec));
  const isWanted = (/** @type {number} */ index) => texts.includes(JSON.stringify(specs[index]));
  return cancelByIds(
    submitted.flatMap(({ id, status }, index) => (status === 'unstarted' || isWanted(index) ? [] : [id])),
  );
}

/** Cancel runs; failures are ignored. @param {string[]} ids */
async function cancelByIds(ids) {
  // Mostly the run has ended meanwhile; a run that goes on after another error costs only time.
  await Promise.allSettled([...new Set(ids)].map(cancelRun));
}

/** Cancel all runs on request of the user. */
export async function cancelRuns() {
  wanted = null;
  isCancelled = true;
  clearTimeout(retryTimer);
  await cancelAll([]);
}

/** Show the runs of a snapshot unchanged. @param {string[]} ids @param {string[]} labels */
export function showSnapshot(ids, labels) {
  stopFollowing();
  showRunsById(ids, labels);
  state.phase.value = 'running';
  followSlots(null, resubmitLost);
}

/** Submit the specs of lost runs again: the same spec is the same run. Lost recordings are removed. @param {string[]} lost */
function resubmitLost(lost) {
  const traces = tracesOf(state.view.value).filter((id) => lost.includes(id));
  if (traces.length > 0) removeRecordings(traces);
  else requestRuns(true);
}

/** Fetch the spec of a run; null for a recording. @param {string} id @returns {Promise<any>} */
export const readSpec = async (id) => (await getRun(id)).spec;
