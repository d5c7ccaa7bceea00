/**
 * Stores the addresses of the browser's history, so that a new visit can restore them for Back. The tab that changed its view last is the
 * one that is restored.
 */

import { ROOT } from '../net/sent.js';
import { readList, writeList } from './store.js';

const KEY = 'trail';
const MAX_STEPS = 24;
/** Addresses that the page can open itself; snapshots need the server. */
const OWN = /^\/(?:#.*|p\/.*|preset-.*)?$/s;
/** Return whether an address belongs to this page and can be stored. @param {string} url */
const canStore = (url) => url.startsWith(ROOT) && OWN.test(url.slice(ROOT.length));

/** Addresses of the last visit. @type {string[]} */
const before = readList(KEY, (url) => typeof url === 'string' && canStore(url)).items;

let steps = [...before, currentAddress()];
let at = before.length;
let first = at;
/** Whether the view was changed: only then is the trail stored, so that opening a link does not overwrite it. */
let hasChanged = false;

/** Return path and hash of the current address. */
export function currentAddress() {
  return location.pathname + location.hash;
}

/** Return the addresses of the last visit, the latest last. */
export const previousSteps = () => before;

/** Add an address, and drop those after the current one. @param {string} url @returns {{step: number}} state for the history entry */
export function pushStep(url) {
  steps = [...steps.slice(0, at + 1), url];
  at = steps.length - 1;
  hasChanged = true;
  saveTrail();
  return { step: at };
}

/** Replace the last address of the trail of visited addresses. @param {string} url */
export function replaceStep(url) {
  if (steps[at] === url) return;
  steps[at] = url;
  if (hasChanged) saveTrail();
}

/** Restore the addresses of the last visit as history entries, so that Back undoes them. */
export function resumeTrail() {
  steps = [currentAddress()];
  at = first = 0;
  for (const url of before) history.pushState(pushStep(url), '', url);
}

/** Follows Back and Forward. */
addEventListener('popstate', () => {
  const step = history.state?.step ?? first;
  if (steps[step] === currentAddress()) at = step;
  else {
    steps.push(currentAddress()); // the address was edited, or the entry is older than a reload
    at = steps.length - 1;
  }
  if (hasChanged) saveTrail();
});

/** Store the addresses up to the current one; fewer if they are too long for the storage. */
function saveTrail() {
  const past = steps
    .slice(0, at + 1)
    .filter((url, index, all) => canStore(url) && url !== all[index - 1] && !(index === 0 && url === `${ROOT}/`));
  for (let count = MAX_STEPS; count > 0 && writeList(KEY, past.slice(-count)) !== ''; count = count >> 1);
}
