/** What a card shows, filled anew for whatever leaves the page: at full width, in sight or not. */

import { withInterval } from '../data/composites.js';
import { fillDifference } from '../data/difference.js';
import { choose, slotAt } from '../data/drawing.js';
import { fill } from '../data/fill.js';
import * as state from '../state/signals.js';
import { shownStep } from './places.js';

/** @typedef {import('../../types').Figure} Figure @typedef {import('../../types').Panel} Panel */

/** @param {Panel} panel @param {Figure} template of one of its views @returns {Figure} */
export function fillShown(panel, template) {
  const step = shownStep(panel, template);
  const slots = step === null ? state.slots.value : state.slots.value.map((slot) => slotAt(slot, step, template));
  const { results, labels } = choose(template, slots, []);
  return (state.isDifference.value ? fillDifference : fill)(
    withInterval(template, state.interval.value),
    results,
    labels,
    state.cursor.value,
    false,
  );
}
