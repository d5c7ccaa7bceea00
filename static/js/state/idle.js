/** Waits for a moment in which nothing is dragged and the browser has nothing to do. */

import { effect } from '@preact/signals';
import * as state from './signals.js';

/** Run an action once nothing is dragged and the browser is idle. @param {() => void} act */
export function whenIdle(act) {
  if (state.isMoving.peek() || state.isDragging.peek()) {
    const stop = effect(() => {
      if (state.isMoving.value || state.isDragging.value) return;
      queueMicrotask(() => {
        stop();
        whenIdle(act);
      });
    });
    return;
  }
  // Safari has no idle callbacks.
  if (typeof requestIdleCallback === 'function') requestIdleCallback(act, { timeout: 2000 });
  else setTimeout(act, 50);
}
