/** Runs sweeps: requests, polls and cancels them. One sweep at a time. */

import { signal } from '@preact/signals';
import { ApiError, cancelSweep, getSweepFigure, getSweepValues, postSweep, wait } from '../net/api.js';
import { boot } from './boot.js';
import { fromHash } from './hash.js';
import { theme } from './look.js';
import * as state from './signals.js';
import { toSweepBody } from './sweep.js';

/** @typedef {import('../../types').SweepChoice} SweepChoice @typedef {import('../../types').SweepValues} SweepValues */

const POLL_MS = 250;

/** Numbers and figure of the computed cells; null before the first. */
export const cells = signal(
  /** @type {{values: SweepValues, figure: import('../../types').Figure, theme: string} | null} */ (null),
);
export const isFilling = signal(false);
export const refusal = signal(/** @type {ApiError | null} */ (null));

let following = new AbortController();
/** Source of the cells: a sweep, or the one stored in the snapshot. @type {{id: string, links: import('../../types').SweepLinks, isSnapshot: boolean} | null} */
let source = null;
let requestedBody = '';

/** Return the sweep of the snapshot if it has the requested grid. @param {string} grid a request's body */
function findSnapshotSweep(grid) {
  const snapshot = state.snapshot.value;
  if (!snapshot?.sweep) return null;
  const sweep = snapshotSweep();
  if (!sweep || grid !== JSON.stringify(toSweepBody(state.fields.value, state.view.value, sweep))) return null;
  return { id: snapshot.id, links: snapshot.sweep, isSnapshot: true };
}

/** Return the sweep choices of the shown snapshot. @returns {SweepChoice | undefined} */
export function snapshotSweep() {
  const snapshot = state.snapshot.value;
  return snapshot?.sweep ? fromHash(snapshot.state, state.fields.value, boot.rules).view.sweep : undefined;
}

/** Return the source of the shown cells, to be stored with a snapshot. @param {SweepChoice | undefined} sweep */
export function sourceOf(sweep) {
  return sweep && cells.value && source && areCellsOf(sweep) ? source : null;
}

/**
 * Call `use` with the source of the sweep's cells. A restarted server has lost the sweep, but not its runs: requesting it again restores it without computing missing cells.
 * @template T @param {SweepChoice | undefined} sweep @param {(shownSource: ReturnType<typeof sourceOf>) => Promise<T>} use @returns {Promise<T>}
 */
export async function withSource(sweep, use) {
  const shownSource = sourceOf(sweep);
  try {
    return await use(shownSource);
  } catch (error) {
    if (!shownSource || shownSource.isSnapshot || !(error instanceof ApiError) || error.status !== 404) throw error;
    await postSweep(JSON.parse(requestedBody));
    if (!isFilling.value) await cancelSweep(shownSource.id);
    return use(shownSource);
  }
}

/** Load the figure of the sweep's cells in another theme. @param {SweepChoice} sweep @param {string} name */
export function drawIn(sweep, name) {
  const shown = cells.value;
  return withSource(sweep, async (shownSource) => {
    if (!shown || !shownSource) throw new Error('there are no cells to draw');
    return shown.theme === name ? shown.figure : getSweepFigure(shownSource.links, sweep.metric, sweep.reduce, name);
  });
}

/** Compute a sweep, or continue it. A snapshot's sweep is shown unchanged unless the user presses the button. @param {SweepChoice} sweep @param {boolean} [isPressed] */
export async function computeSweep(sweep, isPressed = false) {
  following.abort();
  following = new AbortController();
  const { signal: aborted } = following;
  const body = toSweepBody(state.fields.value, state.view.value, sweep);
  isFilling.value = true;
  await reportProblems(aborted, () => followSweep(body, sweep, aborted, isPressed));
  if (!aborted.aborted) isFilling.value = false;
}

/** Show the sweep with another metric, reduction or theme. If cells are still being computed, they continue. @param {SweepChoice} sweep */
export async function showSweep(sweep) {
  if (isFilling.value) return computeSweep(sweep);
  const { signal: aborted } = following;
  await reportProblems(aborted, () =>
    withSource(
      sweep,
      async (shownSource) => void (shownSource && (await pollSweep(shownSource.links, sweep, aborted))),
    ),
  );
}

/** Run an action, and show a refusal of the server. @param {AbortSignal} aborted @param {() => Promise<void>} act */
async function reportProblems(aborted, act) {
  refusal.value = null;
  try {
    await act();
  } catch (error) {
    if (aborted.aborted) return;
    if (!(error instanceof ApiError)) throw error;
    refusal.value = error;
    state.announcement.value = `${error.title}: ${error.message}`;
  }
}

/** Cancel the sweep; computed cells stay. @param {SweepChoice} sweep */
export async function stopSweep(sweep) {
  following.abort();
  following = new AbortController();
  isFilling.value = false;
  if (!source || source.isSnapshot) return;
  const stopped = source;
  // Errors do not matter: the server has lost the sweep.
  await cancelSweep(stopped.id).catch(() => undefined);
  if (source === stopped && !isFilling.value)
    await pollSweep(stopped.links, sweep, following.signal).catch(() => undefined);
}

/** Return whether the shown cells belong to these choices. @param {SweepChoice} sweep */
export function areCellsOf(sweep) {
  return requestedBody === JSON.stringify(toSweepBody(state.fields.value, state.view.value, sweep));
}

/** Request a sweep and poll it until it ends. @param {any} body @param {SweepChoice} sweep @param {AbortSignal} aborted @param {boolean} isPressed */
async function followSweep(body, sweep, aborted, isPressed) {
  const name = JSON.stringify(body);
  const isLive = isPressed || (name === requestedBody && source?.isSnapshot === false);
  const snapshot = isLive ? null : findSnapshotSweep(name);
  if (name !== requestedBody) cells.value = null;
  for (;;) {
    try {
      source = snapshot ?? { ...(await postSweep(body, aborted)), isSnapshot: false };
      requestedBody = name;
      while (await pollSweep(source.links, sweep, aborted)) await wait(POLL_MS, aborted);
      return;
    } catch (error) {
      // Unreachable, busy or restarted: the same request continues the sweep.
      const again_s = error instanceof ApiError ? (error.status === 404 && !snapshot ? 0 : error.retryAfter_s) : null;
      if (again_s === null) throw error;
      await wait(1000 * again_s, aborted);
    }
  }
}

/** Fetch numbers and figure; return whether the sweep continues. @param {import('../../types').SweepLinks} links @param {SweepChoice} sweep @param {AbortSignal} aborted */
async function pollSweep(links, sweep, aborted) {
  const values = await getSweepValues(links, sweep.metric, sweep.reduce, aborted);
  const isNew = JSON.stringify(values) !== JSON.stringify(cells.value?.values) || cells.value?.theme !== theme.value;
  if (isNew) {
    const name = theme.value;
    const figure = await getSweepFigure(links, sweep.metric, sweep.reduce, name, aborted);
    cells.value = { values, figure, theme: name };
  }
  return values.is_open;
}
