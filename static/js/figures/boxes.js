/** All figures on the page, and what is done to them together. */

import { clearInterval } from '../state/actions.js';
import * as state from '../state/signals.js';

/** `showAll` forgets what a hand has made of axes that are a figure's own. @type {Set<{draw: (isForced: boolean) => void, showAll?: () => void}>} */
export const boxes = new Set();

/** Draw all of it at once, in sight or not, at the size that it has now: paper does not wait. */
export function drawAll() {
  for (const box of boxes) box.draw(true);
}

/** All layers again, and all of the other axes, on every card. */
export function showAll() {
  clearInterval();
  for (const box of boxes) box.showAll?.();
}

/** Where the cursors are, as the view has it. */
export const cursorsNow = () => ({ cursor: state.view.peek().cursor, step: state.view.peek().step });
