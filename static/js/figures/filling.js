/** A template filled as the page shows it: against the first run or not, of all layers or of chosen ones. */

import { withInterval } from '../data/composites.js';
import { fillDifference } from '../data/difference.js';
import { fill } from '../data/fill.js';
import { noteWaiting } from '../data/waiting.js';
import { recomputeComposites } from '../instant/interval.js';
import * as state from '../state/signals.js';

/** @typedef {import('../../types').Figure} Figure @typedef {import('../../types').Columns} Columns */

/** A template of the layers that are shown. @param {Figure} template @returns {Figure} */
export function forInterval(template) {
  return state.chosenInterval.value ? withInterval(template, state.chosenInterval.value) : template;
}

/**
 * @param {Figure} template
 * @param {Columns[]} results
 * @param {string[]} labels
 * @param {{step: number | null, isNarrow: boolean}} shown
 * @returns {Figure}
 */
export function toFigure(template, results, labels, { step, isNarrow }) {
  const draw = state.isDifference.peek() ? fillDifference : fill;
  const shown = columnsForInterval(template, results, step) ?? results;
  const figure = draw(template, shown, labels, state.cursor.peek(), isNarrow && !template.layout.meta.isSmall);
  noteWaiting(figure, results, labels);
  return figure;
}

/**
 * What composites of chosen layers are drawn from; null where they are those of all layers: of a step of training the matrices are not
 * those of its gains.
 * @param {Figure} template of chosen layers or not
 * @param {Columns[]} results
 * @param {number | null} step
 */
export function columnsForInterval({ layout: { meta } }, results, step) {
  if (!meta.composites || !meta.interval || step !== null) return null;
  const [first, last] = meta.interval;
  return recomputeComposites(results, { first, last });
}
