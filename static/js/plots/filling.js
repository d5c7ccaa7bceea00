/** Fills templates as the page shows them: with differences or not, for all layers or the interval. */

import { recomputeComposites } from '../derived/interval.js';
import { withInterval } from '../figures/composites.js';
import { fillDifference } from '../figures/difference.js';
import { fill } from '../figures/fill.js';
import { addWaitingNote } from '../figures/labels.js';
import * as state from '../state/signals.js';

/** @typedef {import('../../types').Figure} Figure @typedef {import('../../types').Columns} Columns */

/** Return a template that shows the chosen interval of layers, or the template itself for all layers. @param {Figure} template @returns {Figure} */
export function forInterval(template) {
  return state.chosenInterval.value ? withInterval(template, state.chosenInterval.value) : template;
}

/**
 * Fill a template with the columns of runs, at a training step if one is shown, as the page's figures are drawn.
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
  addWaitingNote(figure, results, labels);
  return figure;
}

/**
 * Return columns with composite gains recomputed over the chosen layers; null if none is chosen, or at a training step, whose matrices
 * are not those of its gains.
 * @param {Figure} template
 * @param {Columns[]} results
 * @param {number | null} step
 */
export function columnsForInterval({ layout: { meta } }, results, step) {
  if (!meta.composites || !meta.interval || step !== null) return null;
  const [first, last] = meta.interval;
  return recomputeComposites(results, { first, last });
}
