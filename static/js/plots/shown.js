/** Fills the figure of a card for export: at full width, also out of sight. */

import { chooseDrawn, slotAtStep } from '../figures/drawing.js';
import * as state from '../state/signals.js';
import { forInterval, toFigure } from './filling.js';
import { shownStep } from './places.js';

/** @typedef {import('../../types').Figure} Figure @typedef {import('../../types').Panel} Panel */

/** Fill the template of a card with the data that the card shows now. @param {Panel} panel @param {Figure} template of one of its views @returns {Figure} */
export function fillShown(panel, template) {
  const step = shownStep(panel, template);
  const slots = step === null ? state.slots.value : state.slots.value.map((slot) => slotAtStep(slot, step, template));
  const { results, labels } = chooseDrawn(template, slots, []);
  return toFigure(forInterval(template), results, labels, { step, isNarrow: false });
}
