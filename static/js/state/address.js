/** Keeps the address in step with the view: replaced during a drag, pushed on release, so that Back undoes the drag. */

import { computed } from '@preact/signals';
import { ROOT } from '../net/sent.js';
import { boot } from './boot.js';
import { EMPTY, toHash, toLongTexts, toLookHash } from './hash.js';
import { findPreset, nameIn, pathOf, showsPreset, toView } from './presets.js';
import { fields } from './signals.js';
import { fromSpecs } from './spec.js';
import { currentAddress, pushStep, replaceStep } from './trail.js';

/** @typedef {import('../../types').View} View */

const HOME = `${ROOT}/`;

/** Address before the current drag. @type {string | null} */
let before = null;
/** History state before the current drag. @type {any} */
let keptBefore = null;

/** Return the history state of a view: texts that are too long for its address, so that Back and a reload restore them. @param {View} view */
const toTexts = (view) => ({ texts: toLongTexts(view, boot.rules) });

/** Return the texts that the current address omits. @returns {Record<string, string>} */
export const keptTexts = () => history.state?.texts ?? {};

/** Return the address of a view: the preset's own for an unchanged preset, as link previews need, else a hash. @param {View} view */
export function urlOf(view) {
  const preset = findPreset(view.preset);
  const isPresets = preset !== undefined && showsPreset(view, preset);
  const hash = isPresets ? toLookHash(view, boot.rules, toView(preset)) : toHash(view, boot.rules);
  if (isPresets) return pathOf(preset) + (hash ? `#${hash}` : '');
  // The bare address opens the opening view, so the default view needs at least a version.
  return hash === toHash(openingView(), boot.rules) ? HOME : `${HOME}#${hash || EMPTY}`;
}

/** The view of the first screen; computed once, because controls compare with it at each move of a slider. */
const opening = computed(() => fromSpecs(fields.value, boot.rules.opening));

/** Return the view of the first screen. */
export const openingView = () => opening.value;

/** Return the same comparison without noise, trained on text. */
export const trainedView = () => fromSpecs(fields.value, boot.rules.trained);

/** Return whether the address may change with the view; false for a snapshot's. */
export function mayChangeAddress() {
  return [HOME, `${HOME}index.html`].includes(location.pathname) || nameIn(location.pathname) !== undefined;
}

/** Replace the address during a drag. @param {View} view */
export function replaceAddress(view) {
  if (before === null) keptBefore = history.state;
  before ??= currentAddress();
  history.replaceState({ ...history.state, ...toTexts(view) }, '', urlOf(view));
}

/** Push the address on release, so that Back leads to where the drag began. @param {View} view */
export function pushAddress(view) {
  const target = urlOf(view);
  if (before !== null) history.replaceState(keptBefore, '', before);
  before = null;
  const { texts } = toTexts(view);
  const isSameText = JSON.stringify(texts) === JSON.stringify(keptTexts());
  if (target !== currentAddress() || !isSameText) history.pushState({ ...pushStep(target), texts }, '', target);
}

/** Add a history entry for an opened sweep. The history state stores it, because a snapshot's address cannot. @param {View} view */
export function pushSweep(view) {
  const url = mayChangeAddress() ? urlOf(view) : currentAddress();
  history.replaceState({ ...history.state, sweep: null }, '');
  history.pushState({ ...pushStep(url), ...toTexts(view), sweep: view.sweep }, '', url);
}

/** Return whether Back closes the sweep. */
export const isSweepStep = () => Boolean(history.state?.sweep);

/** Return the view with the sweep of the history state, if it has one; null there closes the view's own sweep. @param {View} view @returns {View} */
export function withHistorySweep({ sweep: own, ...view }) {
  const { sweep = own } = history.state ?? {};
  return sweep ? { ...view, sweep } : view;
}

/** Replace the address without a history entry, as for the cursor. @param {View} view */
export function writeAddress(view) {
  const url = urlOf(view);
  history.replaceState({ ...history.state, ...toTexts(view) }, '', url);
  replaceStep(url);
}
