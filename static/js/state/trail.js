/**
 * The steps of the address, as the browser's history has them, kept for when the page is opened anew: Back can then go through what was
 * before. The tab that changed its view last is the one that is continued.
 */

import { ROOT } from '../net/sent.js';
import { readList, writeList } from './store.js';

const KEY = 'trail';
const MAX_STEPS = 24;
/** Addresses that the page can open without its server: not those of stored views. */
const OWN = /^\/(?:#.*|p\/.*|preset-.*)?$/s;
/** @param {string} url */
const isOwn = (url) => url.startsWith(ROOT) && OWN.test(url.slice(ROOT.length));

/** @type {string[]} */
const before = readList(KEY, (url) => typeof url === 'string' && isOwn(url)).items;

let steps = [...before, here()];
let at = before.length;
let first = at;
/** Someone who changes a view leaves steps; someone who opens a link to look at it does not. */
let hasChanged = false;

function here() {
  return location.pathname + location.hash;
}

/** What was left when the page was opened, the latest last. */
export const leftSteps = () => before;

/** A step forward; what Back had come from is gone. @param {string} url @returns {{step: number}} what the browser's entry carries */
export function pushStep(url) {
  steps = [...steps.slice(0, at + 1), url];
  at = steps.length - 1;
  hasChanged = true;
  save();
  return { step: at };
}

/** Where we are is called otherwise. @param {string} url */
export function renameStep(url) {
  if (steps[at] === url) return;
  steps[at] = url;
  if (hasChanged) save();
}

/** Put what was left behind the page that is open, step by step: the browser's Back then undoes them. */
export function resume() {
  steps = [here()];
  at = first = 0;
  for (const url of before) history.pushState(pushStep(url), '', url);
}

/** After Back and Forward. */
addEventListener('popstate', () => {
  const step = history.state?.step ?? first;
  if (steps[step] === here()) at = step;
  else {
    steps.push(here()); // someone edited the address, or the entry is of before a reload
    at = steps.length - 1;
  }
  if (hasChanged) save();
});

/** What Back could undo from here, and where we are. A text may be too long for the storage: then fewer steps. */
function save() {
  const past = steps
    .slice(0, at + 1)
    .filter((url, index, all) => isOwn(url) && url !== all[index - 1] && !(index === 0 && url === `${ROOT}/`));
  for (let count = MAX_STEPS; count > 0 && writeList(KEY, past.slice(-count)) !== ''; count = count >> 1);
}
