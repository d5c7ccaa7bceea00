/** The row below the sliders: training step and interval, if any. Also announces the cursor to screen readers. */

import { effect } from '@preact/signals';
import { UNKNOWN } from '../data/numbers.js';
import { isComposite, recomputeComposites } from '../derived/interval.js';
import { shownOf } from '../figures/drawing.js';
import { textAt } from '../figures/sources.js';
import { atStep } from '../figures/steps.js';
import { showAll } from '../plots/boxes.js';
import { describeInterval } from '../plots/places.js';
import { moveStep } from '../state/actions.js';
import * as state from '../state/signals.js';
import { html } from '../ui/html.js';

/** @typedef {import('../../types').Columns} Columns */

/** Render the row of cursors: training step and interval of layers. */
export function CursorRow() {
  if (!state.isTraining.value && !state.chosenInterval.value) return null;
  return html`<div class="cursor-row">${state.isTraining.value ? html`<${StepSlider} />` : null}<${IntervalChip} /></div>`;
}

/** Render the interval, with a button that shows all layers. */
function IntervalChip() {
  const text = describeInterval();
  if (!text) return null;
  const showAllAndFocus = () => {
    showAll();
    document.getElementById('field-depth')?.focus(); // this button is removed
  };
  return html`<button type="button" class="part" aria-label=${`Showing ${text}: show all layers`} title="Show all layers (or double-click a figure)"
    onClick=${showAllAndFocus}>Showing ${text} <span aria-hidden="true">×</span></button>`;
}

/** Render the slider of training steps; its last position is the trained stack, after the last update. */
function StepSlider() {
  const { value: steps } = state.steps;
  const at = state.view.value.step === undefined ? steps : (state.step.value ?? steps);
  const { name, rest, small, spoken } = state.isWatched.value
    ? describeObservation(at, steps)
    : describeStep(at, steps);
  return html`
    <label for="step"><b>${name}</b> ${rest} <small>${small}</small></label>
    <input type="range" id="step" min="1" max=${steps + 1} step="1" value=${at + 1} style=${{ '--share': `${(100 * at) / steps}%` }}
      aria-valuetext=${spoken}
      onInput=${(/** @type {any} */ event) => moveStep(Number(event.target.value) - 1)} />
  `;
}

/** Describe a position of the step slider for runs: a training step, or the trained stack. @param {number} at from 0, the number of steps for the trained stack @param {number} steps */
function describeStep(at, steps) {
  if (at === steps) return { name: 'Trained', rest: `in ${steps}`, small: 'steps', spoken: 'the trained stack' };
  const name = `Step ${at + 1}`;
  return { name, rest: `/ ${steps}`, small: 'before its update', spoken: `step ${at + 1}, before its update` };
}

/** Describe a position of the step slider for recordings: an observation with the training step that the trainer reported. @param {number} at from 0, the number of steps for the latest @param {number} steps */
function describeObservation(at, steps) {
  const number = state.nameStep(Math.min(at, steps - 1));
  const rest = `step ${number}`;
  if (at === steps) return { name: 'Latest', rest, small: `of ${steps} observations`, spoken: `the latest, ${rest}` };
  const small = `observation ${at + 1} of ${steps}`;
  return { name: `Step ${number}`, rest: '', small, spoken: `${rest}, ${small}` };
}

/** Metrics announced for each run. */
const SPOKEN = [
  { key: 'act_rms', title: 'activation' },
  { key: 'grad_rms', title: 'gradient' },
  { key: 'composite_gain_fwd', title: 'gain forward' },
];
/** Delay of the announcement: only the position where the cursor stops is announced. */
const REST_MS = 600;

/** Describe the values at the cursor in one sentence. */
function describeValues() {
  const [layer, step] = [state.cursor.value, state.step.value];
  const recomputed = gainsForInterval(step);
  const runs = state.slots.value.map((slot, run) => {
    const values = SPOKEN.map(({ key, title }) => {
      const found = (isComposite(key) && recomputed?.[run]) || readFrom(slot, key, step);
      return `${title} ${readLayer(found, key, layer, step)}`;
    });
    return `${slot.label} ${values.join(', ')}`;
  });
  return `Layer ${layer + 1}${step === null ? '' : `, step ${state.nameStep(step)}`}: ${runs.join('; ')}.`;
}

/** Announce the values at the cursor once it rests; runs until the page is closed. */
export function followCursor() {
  let timer = 0;
  effect(() => {
    const { cursor, step } = state.view.value;
    const isMoved = cursor !== null || step !== undefined;
    const place = `${cursor} ${step}`;
    if (!isMoved || place === announced) return;
    const isFirst = announced === null;
    announced = place;
    clearTimeout(timer);
    // The cursor of a link is not a move.
    if (!isFirst || state.phase.peek() === 'idle') timer = announceLater();
  });
}

/** Announce the values at the cursor after a delay, unless the cursor moves meanwhile. */
function announceLater() {
  const before = state.announcement.peek();
  return setTimeout(() => {
    if (state.announcement.peek() === before) state.announcement.value = describeValues();
  }, REST_MS);
}

/** The last announced position, or that of the opened page. @type {string | null} */
let announced = null;

/** Return the columns from which to read a metric: those of the run, or of the earlier run until the metric has arrived. @param {import('../state/signals.js').Slot} slot @param {string} key @param {number | null} step */
function readFrom(slot, key, step) {
  const rules = state.templates.value?.rules.steps;
  // The templates may still be loading.
  return rules && shownOf(slot, (item) => atStep(item, step, rules).layers.has(key)).columns;
}

/** Return the runs with gains of the interval; null for all layers. @param {number | null} step */
function gainsForInterval(step) {
  const { value: interval } = state.chosenInterval;
  const runs = state.slots.value.map((slot) => readFrom(slot, 'composite_gain_fwd', step) || null);
  return interval && step === null ? recomputeComposites(runs, interval) : null;
}

/** Format a value at the cursor. @param {Columns | undefined} found @param {string} key @param {number} layer @param {number | null} step */
function readLayer(found, key, layer, step) {
  const rules = state.templates.value?.rules.steps;
  if (!rules || !found) return UNKNOWN;
  const columns = atStep(found, step, rules);
  return textAt(columns, key, layer) ?? '–';
}
