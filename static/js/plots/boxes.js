/** All figures on the page, and actions on all of them. */

import { clearInterval } from '../state/actions.js';
import * as state from '../state/signals.js';

/** `showAll` resets the zoom of a figure's own axes. @type {Set<{draw: (isForced: boolean) => void, showAll?: () => void}>} */
export const boxes = new Set();

/** Draw all figures synchronously at their current size, also those outside the window, because printing does not wait. */
export function drawAll() {
  for (const box of boxes) box.draw(true);
}

/** Reset the interval and the zoom of every card, so that all layers are shown. */
export function showAll() {
  clearInterval();
  for (const box of boxes) box.showAll?.();
}

/** Return the cursors of the view. */
export const cursorsNow = () => ({ cursor: state.view.peek().cursor, step: state.view.peek().step });
