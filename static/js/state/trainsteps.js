/** Fetches the training steps of stored runs, which the server sends only on request: no figure of the first screen needs them. */

import { effect } from '@preact/signals';
import { addFrame } from '../data/columns.js';
import { ApiError } from '../net/api.js';
import { followRuns } from '../net/stream.js';
import { whenIdle } from './idle.js';
import * as state from './signals.js';

/** @typedef {import('../../types').Columns} Columns */

const REFUSED = {
  title: 'The training steps are missing',
  detail: 'The server no longer has these runs. Reload the page to compute them again.',
};

/** Columns whose steps are being fetched, with what resolves once they are here. @type {WeakMap<Columns, Promise<void>>} */
const fetched = new WeakMap();

/** Return whether figures are drawn, or need the steps. */
const areFiguresReady = () => state.hasDrawn.value || state.step.value !== null;

/** Fetch the steps of shown runs once their figures are drawn and the browser is idle; runs until the page is closed. @param {() => boolean} [isReady] whether to fetch them */
export function followTrainSteps(isReady = areFiguresReady) {
  effect(() => {
    state.dataTick.value;
    const isLacking = state.slots.value.some(({ columns }) => columns.lacksSteps);
    if (isLacking && state.phase.value === 'idle' && isReady()) whenIdle(() => void loadTrainSteps());
  });
}

/** Fetch the steps that shown runs lack. Resolves when all are here. */
export async function loadTrainSteps() {
  const lacking = state.slots.value.filter(({ columns }) => columns.lacksSteps);
  const fresh = new Map(lacking.flatMap(({ id, columns }) => (fetched.has(columns) ? [] : [[id, columns]])));
  if (fresh.size > 0) {
    const promise = fetchSteps(fresh);
    for (const columns of fresh.values()) fetched.set(columns, promise);
  }
  await Promise.all(lacking.map(({ columns }) => fetched.get(columns)));
}

/** Fetch the steps of runs, and update the page when all are here. @param {Map<string, Columns>} runs @returns {Promise<void>} */
async function fetchSteps(runs) {
  const following = new AbortController();
  const open = new Set(runs.keys());
  await new Promise((resolve) => {
    const last = new Map([...runs].map(([id, { lastStep }]) => [id, lastStep]));
    const handlers = {
      onFrame(/** @type {import('../../types').Frame} */ frame) {
        const columns = /** @type {Columns} */ (runs.get(frame.run));
        if (frame.type === 'end') {
          open.delete(frame.run);
          columns.lacksSteps = false;
        } else addFrame(columns, frame);
        if (open.size === 0) resolve(undefined);
      },
      onRefused() {
        following.abort();
        state.problem.value = new ApiError(404, REFUSED, null);
        resolve(undefined);
      },
    };
    followRuns(last, handlers, following.signal, undefined, 'steps');
  });
  following.abort();
  state.dataTick.value++;
}
