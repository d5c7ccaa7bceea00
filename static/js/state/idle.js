/** Waits for states of the page. */

import { effect } from '@preact/signals';
import * as state from './signals.js';

/** Wait until a condition holds, or until aborted. @param {() => boolean} holds reads signals @param {AbortSignal} [aborted] */
export async function until(holds, aborted) {
  let stop = () => {};
  await new Promise((resolve) => {
    aborted?.addEventListener('abort', resolve);
    stop = effect(() => {
      if (aborted?.aborted || holds()) resolve(undefined);
    });
  });
  stop();
}

/** Run an action once nothing is dragged and the browser is idle. @param {() => void} act */
export function whenIdle(act) {
  void until(() => !state.isMoving.value && !state.isDragging.value).then(() => {
    // Safari has no idle callbacks.
    if (typeof requestIdleCallback === 'function') requestIdleCallback(act, { timeout: 2000 });
    else setTimeout(act, 50);
  });
}
