/** Keeps the map's cells coming: asks for the sweep, looks how far it is, cancels. One sweep at a time. */

import { signal } from '@preact/signals';
import { ApiError, cancelSweep, getSweepFigure, getSweepValues, postSweep } from '../net/api.js';
import { boot } from './boot.js';
import { theme } from './look.js';
import * as state from './signals.js';
import { toSweep } from './view/grid.js';
import { fromHash } from './view/hash.js';

/** @typedef {import('../../types').MapChoice} MapChoice @typedef {import('../../types').SweepValues} SweepValues */

const LOOK_MS = 250;

/** Numbers and figure of the cells as far as they are; null before the first. */
export const cells = signal(
  /** @type {{values: SweepValues, figure: import('../../types').Figure, theme: string} | null} */ (null),
);
export const isFilling = signal(false);
export const refusal = signal(/** @type {ApiError | null} */ (null));

let following = new AbortController();
/** Where the cells come from: a sweep that goes on or can be cancelled, or the one that the stored view holds. @type {{id: string, links: import('../../types').SweepLinks, isSnapshot: boolean} | null} */
let source = null;
let requestedBody = '';

/** The sweep that a stored view was stored with, as long as its grid is asked for. @param {string} grid a request's body */
function findSnapshotSweep(grid) {
  const stored = state.snapshot.value;
  if (!stored?.sweep) return null;
  const map = snapshotMap();
  if (!map || grid !== JSON.stringify(toSweep(state.fields.value, state.view.value, map))) return null;
  return { id: stored.id, links: stored.sweep, isSnapshot: true };
}

/** The map of the stored view that is shown. @returns {MapChoice | undefined} */
export function snapshotMap() {
  const stored = state.snapshot.value;
  return stored?.sweep ? fromHash(stored.state, state.fields.value, boot.rules).view.map : undefined;
}

/** What holds the cells that are shown, to be stored with a view: a sweep's id or a snapshot's. @param {MapChoice | undefined} map */
export function sourceOf(map) {
  return map && cells.value && source && isShown(map) ? source : null;
}

/**
 * What `use` makes of the sweep or snapshot behind the shown cells. A server that was started anew has forgotten the sweep,
 * not its runs: asked for again it is there at once, and what had not been computed stays so.
 * @template T @param {MapChoice | undefined} map @param {(held: ReturnType<typeof sourceOf>) => Promise<T>} use @returns {Promise<T>}
 */
export async function withSource(map, use) {
  const shownSource = sourceOf(map);
  try {
    return await use(shownSource);
  } catch (error) {
    if (!shownSource || shownSource.isSnapshot || !(error instanceof ApiError) || error.status !== 404) throw error;
    await postSweep(JSON.parse(requestedBody));
    if (!isFilling.value) await cancelSweep(shownSource.id);
    return use(shownSource);
  }
}

/** The cells that are shown in another theme. @param {MapChoice} map @param {string} name */
export function drawIn(map, name) {
  const shown = cells.value;
  return withSource(map, async (shownSource) => {
    if (!shown || !shownSource) throw new Error('there are no cells to draw');
    return shown.theme === name ? shown.figure : getSweepFigure(shownSource.links, map.metric, map.reduce, name);
  });
}

/** Compute the map, or go on with it. What a stored view holds is shown as it is, unless someone presses the button. @param {MapChoice} map @param {boolean} [isPressed] */
export async function fillMap(map, isPressed = false) {
  following.abort();
  following = new AbortController();
  const { signal: aborted } = following;
  const body = toSweep(state.fields.value, state.view.value, map);
  isFilling.value = true;
  await reportProblems(aborted, () => follow(body, map, aborted, isPressed));
  if (!aborted.aborted) isFilling.value = false;
}

/** Another metric, reduction or theme of the cells that are shown, if any are; those that are still to come go on to come. @param {MapChoice} map */
export async function showMap(map) {
  if (isFilling.value) return fillMap(map);
  const { signal: aborted } = following;
  await reportProblems(aborted, () =>
    withSource(map, async (shownSource) => void (shownSource && (await look(shownSource.links, map, aborted)))),
  );
}

/** Do something, and say what the server refuses of it. @param {AbortSignal} aborted @param {() => Promise<void>} act */
async function reportProblems(aborted, act) {
  refusal.value = null;
  try {
    await act();
  } catch (error) {
    if (aborted.aborted) return;
    if (!(error instanceof ApiError)) throw error;
    refusal.value = error;
    state.spoken.value = `${error.title}: ${error.message}`;
  }
}

/** Compute no more cells; those that are done stay. @param {MapChoice} map */
export async function stopMap(map) {
  following.abort();
  following = new AbortController();
  isFilling.value = false;
  if (!source || source.isSnapshot) return;
  const stopped = source;
  // A sweep that the server has forgotten needs no cancelling.
  await cancelSweep(stopped.id).catch(() => undefined);
  if (source === stopped && !isFilling.value) await look(stopped.links, map, following.signal).catch(() => undefined);
}

/** Whether the cells shown are those of this choice. @param {MapChoice} map */
export function isShown(map) {
  return requestedBody === JSON.stringify(toSweep(state.fields.value, state.view.value, map));
}

/** @param {any} body @param {MapChoice} map @param {AbortSignal} aborted @param {boolean} isPressed */
async function follow(body, map, aborted, isPressed) {
  const name = JSON.stringify(body);
  const isLive = isPressed || (name === requestedBody && source?.isSnapshot === false);
  const stored = isLive ? null : findSnapshotSweep(name);
  if (name !== requestedBody) cells.value = null;
  for (;;) {
    try {
      source = stored ?? { ...(await postSweep(body, aborted)), isSnapshot: false };
      requestedBody = name;
      while (await look(source.links, map, aborted)) await rest(LOOK_MS, aborted);
      return;
    } catch (error) {
      // Away, busy, or started anew: the same request goes on where it was.
      const again_s = error instanceof ApiError ? (error.status === 404 && !stored ? 0 : error.retryAfter_s) : null;
      if (again_s === null) throw error;
      await rest(1000 * again_s, aborted);
    }
  }
}

/** @param {import('../../types').SweepLinks} links @param {MapChoice} map @param {AbortSignal} aborted */
async function look(links, map, aborted) {
  const values = await getSweepValues(links, map.metric, map.reduce, aborted);
  const isNew = JSON.stringify(values) !== JSON.stringify(cells.value?.values) || cells.value?.theme !== theme.value;
  if (isNew) {
    const name = theme.value;
    const figure = await getSweepFigure(links, map.metric, map.reduce, name, aborted);
    cells.value = { values, figure, theme: name };
  }
  return values.is_open;
}

/** @param {number} ms @param {AbortSignal} aborted */
function rest(ms, aborted) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    aborted.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        reject(new DOMException('the map is another now', 'AbortError'));
      },
      { once: true },
    );
  });
}
