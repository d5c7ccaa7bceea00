/** What a card shows, in the words of its title: layers, and the step of training. */

import { toSpan } from '../data/composites.js';
import { canFollow, nearestKept, showsKept } from '../data/steps.js';
import * as state from '../state/signals.js';

/** @typedef {import('../../types').Panel} Panel @typedef {import('../../types').PanelView} PanelView */

/** The layers of the product that a view draws; null where it draws none. @param {PanelView} view */
export function spanOf(view) {
  return view.figure.data[0]?.meta.fill.z?.match(/^product\.([^.]+)\./)?.[1] ?? null;
}

/** Whether a view draws the product of the interval that someone chooses. @param {PanelView} view */
export function isInterval(view) {
  return spanOf(view) === 'first-last';
}

/**
 * The step that a figure shows: null for the trained stack, as where the panel does not follow or nothing of the step is known.
 * @param {Panel} panel
 * @param {import('../../types').Figure} template of one of its views
 */
export function shownStep(panel, template) {
  const step = panel.follows_step ? state.step.value : null;
  if (step === null) return null;
  state.dataTick.value;
  return canFollow(
    template,
    state.slots.value.map((slot) => slot.columns),
    step,
  )
    ? step
    : null;
}

/** `layer 9, step 3`; empty of a panel that shows all layers of stacks that do not train. @param {Panel} panel @param {PanelView} view */
export function toPlaces(panel, view) {
  return [...layersOf(panel, view), ...stepOf(panel, view)].join(', ');
}

/** @param {Panel} panel @param {PanelView} view */
function layersOf(panel, view) {
  if (panel.key !== 'detail') return [];
  const span = spanOf(view);
  if (span === null) return [`layer ${state.cursor.value + 1}`];
  const { first, last } = state.interval.value;
  const [from, to] = isInterval(view) ? [first, last] : toSpan(span, state.cursor.value, state.layers.value);
  return [`layers ${from + 1}–${to + 1}`];
}

/** Of what a step does not tell it is the trained stack; what is kept at few steps is that of the nearest. @param {Panel} panel @param {PanelView} view */
function stepOf(panel, view) {
  if (state.step.value === null || !panel.follows_step) return [];
  const step = shownStep(panel, view.figure);
  if (step === null) return ['trained'];
  const trained = state.slots.value.find((slot) => slot.columns.trained > 0);
  if (!trained || !showsKept(view.figure)) return [`step ${step + 1}`];
  const place = nearestKept(trained.columns, step);
  return place === null ? [] : [`step ${trained.columns.keptSteps[place] + 1}`];
}
