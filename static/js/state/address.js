/** The address follows the view: replaced while something is dragged, pushed on release, so that Back is undo. */

import { ROOT } from '../net/sent.js';
import { boot } from './boot.js';
import { findPreset, isSame, nameIn, pathOf, toView } from './presets.js';
import { fields } from './signals.js';
import { pushStep, renameStep } from './trail.js';
import { EMPTY, toHash, toLongTexts, toLookHash } from './view/hash.js';
import { fromSpecs } from './view/spec.js';

/** @typedef {import('../../types').View} View */

const HOME = `${ROOT}/`;

/** Where we were before the drag that is going on. @type {string | null} */
let before = null;
/** And what the history kept beside that address. @type {any} */
let keptBefore = null;

/** What goes into the history beside an address: the texts that it has no room for, so that Back and a reload have the whole view. @param {View} view */
const toTexts = (view) => ({ texts: toLongTexts(view, boot.rules) });

/** The texts that the address of now has no room for. @returns {Record<string, string>} */
export const keptTexts = () => history.state?.texts ?? {};

/** A preset's view has the preset's own address, which its link previews need; any other stands in the hash. @param {View} view */
export function urlOf(view) {
  const preset = findPreset(view.preset);
  const isPresets = preset !== undefined && isSame(view, preset);
  const hash = isPresets ? toLookHash(view, boot.rules, toView(preset)) : toHash(view, boot.rules);
  if (isPresets) return pathOf(preset) + (hash ? `#${hash}` : '');
  // The bare address is that of the opening view, so that the view of an empty hash says at least its version.
  return hash === toHash(openingView(), boot.rules) ? HOME : `${HOME}#${hash || EMPTY}`;
}

/** What a visitor sees without touching anything. */
export const openingView = () => fromSpecs(fields.value, boot.rules.opening);

/** The same comparison without noise, trained on text. */
export const trainedView = () => fromSpecs(fields.value, boot.rules.trained);

/** Whether the address is one that follows the view: not that of a stored one. */
export function isOwn() {
  return [HOME, `${HOME}index.html`].includes(location.pathname) || nameIn(location.pathname) !== undefined;
}

function here() {
  return location.pathname + location.hash;
}

/** While dragging. @param {View} view */
export function replaceAddress(view) {
  if (before === null) keptBefore = history.state;
  before ??= here();
  history.replaceState({ ...history.state, ...toTexts(view) }, '', urlOf(view));
}

/** On release: Back leads to where the drag began. @param {View} view */
export function pushAddress(view) {
  const target = urlOf(view);
  if (before !== null) history.replaceState(keptBefore, '', before);
  before = null;
  const { texts } = toTexts(view);
  const isSameText = JSON.stringify(texts) === JSON.stringify(keptTexts());
  if (target !== here() || !isSameText) history.pushState({ ...pushStep(target), texts }, '', target);
}

/** A sweep was opened: a step that Back undoes. The address of a snapshot cannot hold it, so the history does. @param {View} view */
export function pushSweep(view) {
  const url = isOwn() ? urlOf(view) : here();
  history.replaceState({ ...history.state, sweep: null }, '');
  history.pushState({ ...pushStep(url), ...toTexts(view), sweep: view.map }, '', url);
}

/** Whether Back closes the sweep. */
export const isSweepStep = () => Boolean(history.state?.sweep);

/** The view with the sweep that the history holds; on a snapshot its own may have been closed. @param {View} view @returns {View} */
export function withKeptSweep({ map, ...view }) {
  const { sweep = map } = history.state ?? {};
  return sweep ? { ...view, map: sweep } : view;
}

/** For what is worth no step back, such as the cursor. @param {View} view */
export function noteAddress(view) {
  const url = urlOf(view);
  history.replaceState({ ...history.state, ...toTexts(view) }, '', url);
  renameStep(url);
}
