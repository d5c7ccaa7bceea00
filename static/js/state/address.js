/** The address follows the view: replaced while something is dragged, pushed on release, so that Back is undo. */

import { boot } from './boot.js';
import { toHash } from './hash.js';

/** @typedef {import('../../types').View} View */

/** Where we were before the drag that is going on. @type {string | null} */
let before = null;

/** @param {View} view */
function urlOf(view) {
  const hash = toHash(view, boot.rules);
  return hash ? `/#${hash}` : '/';
}

function here() {
  return location.pathname + location.hash;
}

/** While dragging. @param {View} view */
export function replaceAddress(view) {
  before ??= here();
  history.replaceState(null, '', urlOf(view));
}

/** On release: Back leads to where the drag began. @param {View} view */
export function pushAddress(view) {
  const target = urlOf(view);
  if (before !== null) history.replaceState(null, '', before);
  before = null;
  if (target !== here()) history.pushState(null, '', target);
}

/** For what is worth no step back, such as the cursor. @param {View} view */
export function noteAddress(view) {
  history.replaceState(null, '', urlOf(view));
}
