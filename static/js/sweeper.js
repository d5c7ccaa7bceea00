/** Keeps the map's cells coming: asks for the sweep, looks how far it is, cancels. One sweep at a time. */

import { signal } from '@preact/signals';
import { ApiError, cancelSweep, getSweepFigure, getSweepValues, postSweep } from './api.js';
import { toSweep } from './grid.js';
import { theme } from './look.js';
import * as state from './state.js';

/** @typedef {import('../types').MapChoice} MapChoice @typedef {import('../types').SweepValues} SweepValues */

const LOOK_MS = 250;

/** Numbers and figure of the cells as far as they are; null before the first. */
export const cells = signal(/** @type {{values: SweepValues, figure: import('../types').Figure, theme: string} | null} */ (null));
export const isFilling = signal(false);
export const refusal = signal(/** @type {ApiError | null} */ (null));

let following = new AbortController();
let sweepId = '';
let asked = '';

/** Compute the map, or go on with it. @param {MapChoice} map */
export async function fillMap(map) {
  following.abort();
  following = new AbortController();
  const { signal: aborted } = following;
  const body = toSweep(state.fields.value, state.view.value, map);
  refusal.value = null;
  isFilling.value = true;
  try {
    await follow(body, map, aborted);
  } catch (error) {
    if (aborted.aborted) return;
    if (!(error instanceof ApiError)) throw error;
    refusal.value = error;
    state.spoken.value = `${error.title}: ${error.message}`;
  }
  if (!aborted.aborted) isFilling.value = false;
}

/** Another metric, reduction or theme of cells that are there. @param {MapChoice} map */
export function showMap(map) {
  if (cells.value === null && !isFilling.value) return;
  void fillMap(map);
}

/** Compute no more cells; those that are done stay. @param {MapChoice} map */
export async function stopMap(map) {
  following.abort();
  following = new AbortController();
  isFilling.value = false;
  if (!sweepId) return;
  const stopped = sweepId;
  // A sweep that the server has forgotten needs no cancelling.
  await cancelSweep(stopped).catch(() => undefined);
  if (cells.value?.values.id === stopped && !isFilling.value) await look(stopped, map, following.signal).catch(() => undefined);
}

/** Whether the cells shown are those of this choice. @param {MapChoice} map */
export function isShown(map) {
  return asked === JSON.stringify(toSweep(state.fields.value, state.view.value, map));
}

/** @param {any} body @param {MapChoice} map @param {AbortSignal} aborted */
async function follow(body, map, aborted) {
  const name = JSON.stringify(body);
  if (name !== asked) cells.value = null;
  for (;;) {
    try {
      const sweep = await postSweep(body, aborted);
      sweepId = sweep.id;
      asked = name;
      while (await look(sweepId, map, aborted)) await rest(LOOK_MS, aborted);
      return;
    } catch (error) {
      // Away, busy, or started anew: the same request goes on where it was.
      const again_s = error instanceof ApiError ? (error.status === 404 ? 0 : error.retryAfter_s) : null;
      if (again_s === null) throw error;
      await rest(1000 * again_s, aborted);
    }
  }
}

/** @param {string} id @param {MapChoice} map @param {AbortSignal} aborted */
async function look(id, map, aborted) {
  const values = await getSweepValues(id, map.metric, map.reduce, aborted);
  const isNew = JSON.stringify(values) !== JSON.stringify(cells.value?.values) || cells.value?.theme !== theme.value;
  if (isNew) {
    const name = theme.value;
    const figure = await getSweepFigure(id, map.metric, map.reduce, name, aborted);
    cells.value = { values, figure, theme: name };
  }
  return values.is_open;
}

/** @param {number} ms @param {AbortSignal} aborted */
function rest(ms, aborted) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    aborted.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(new DOMException('the map is another now', 'AbortError'));
    }, { once: true });
  });
}
