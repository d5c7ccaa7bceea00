/** Describes what a card shows for its title: layers, and the training step. */

import { isComposite } from '../derived/interval.js';
import { toSpan } from '../figures/composites.js';
import { toDifferenceUnit } from '../figures/difference.js';
import { columnsOf } from '../figures/drawing.js';
import { canShowStep, nearestKept, showsKept } from '../figures/steps.js';
import * as state from '../state/signals.js';
import { columnsForInterval, forInterval } from './filling.js';

/** @typedef {import('../../types').Panel} Panel @typedef {import('../../types').PanelView} PanelView */

/** Return the span of the product that a view draws; null if it draws none. @param {PanelView} view */
function productSpanOf(view) {
  return view.figure.data[0]?.meta.fill.z?.match(/^product\.([^.]+)\./)?.[1] ?? null;
}

/** Return whether a view draws the product over the interval. @param {PanelView} view */
export function isInterval(view) {
  return productSpanOf(view) === 'first-last';
}

/**
 * Return the step that a figure shows; null for the trained stack: if the panel ignores steps, or no data of the step exists.
 * @param {Panel} panel
 * @param {import('../../types').Figure} template of one of its views
 */
export function shownStep(panel, template) {
  const step = panel.follows_step ? state.step.value : null;
  if (step === null) return null;
  state.dataTick.value;
  return canShowStep(
    template,
    state.slots.value.map((slot) => slot.columns),
    step,
  )
    ? step
    : null;
}

/** Describe layers and step: `layer 9, step 3`; empty for all layers without training. @param {Panel} panel @param {PanelView} view */
export function toPlaces(panel, view) {
  return [...describeLayers(panel, view), ...describeShownStep(panel, view)].join(', ');
}

/** Build the title of a card: its panel, layers and step. @param {Panel} panel @param {PanelView} view */
export function toCardTitle(panel, view) {
  const places = toPlaces(panel, view);
  return places ? `${panel.title}, ${places}` : panel.title;
}

/** Return the unit of a view, in difference mode that of the difference. @param {PanelView} view */
export function unitOf(view) {
  return state.isDifference.value ? toDifferenceUnit(view.figure, view.unit) : view.unit;
}

/** Describe the layers that a card shows: the interval, one layer, or the span of a product. @param {Panel} panel @param {PanelView} view */
function describeLayers(panel, view) {
  if (panel.key !== 'detail')
    return state.chosenInterval.value && hasComposites(view)
      ? [hasIntervalGains(panel, view) ? describeInterval() : 'of all layers']
      : [];
  const span = productSpanOf(view);
  if (span === null) return [`layer ${state.cursor.value + 1}`];
  const { first, last } = state.interval.value;
  const ends = span.replace('first', String(first + 1)).replace('last', String(last + 1));
  const [from, to] = toSpan(ends, state.cursor.value, state.layers.value);
  return [`layers ${from + 1}–${to + 1}`];
}

/** Return whether a view draws products over layers. @param {PanelView} view */
function hasComposites(view) {
  return view.figure.data.some((trace) => isComposite(trace.meta.key));
}

/** Return whether composite gains are those of the interval. @param {Panel} panel @param {PanelView} view */
function hasIntervalGains(panel, view) {
  state.dataTick.value;
  const columns = state.slots.value.map((slot) => columnsOf(slot, ['composite_gain_fwd']));
  return columnsForInterval(forInterval(view.figure), columns, shownStep(panel, view.figure)) !== null;
}

/** Describe the interval of layers; empty for all layers. */
export function describeInterval() {
  const { value: interval } = state.chosenInterval;
  if (!interval) return '';
  const { first, last } = interval;
  return first === last ? `layer ${first + 1}` : `layers ${first + 1}–${last + 1}`;
}

/** Describe the training step that a card shows: `trained` for metrics without steps, the nearest kept step for metrics recorded at few steps. @param {Panel} panel @param {PanelView} view */
function describeShownStep(panel, view) {
  if (state.step.value === null || !panel.follows_step) return [];
  const step = shownStep(panel, view.figure);
  if (step === null) return [state.isWatched.value ? 'last' : 'trained'];
  const trained = state.slots.value.find((slot) => slot.columns.trained > 0);
  if (!trained || !showsKept(view.figure)) return [`step ${state.nameStep(step)}`];
  const index = nearestKept(trained.columns, step);
  return index === null ? [] : [`step ${state.nameStep(trained.columns.keptSteps[index])}`];
}
