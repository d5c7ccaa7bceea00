/** Styles of the compared runs: by method and theme. */

import { computed } from '@preact/signals';
import { methodOf } from '../data/record.js';
import { shownOf } from '../figures/drawing.js';
import { toRunStyles } from '../figures/dress.js';
import { theme } from './look.js';
import * as state from './signals.js';

/** Theme of the figures; light while printing. */
export const shownTheme = computed(() => state.templates.value?.panels[0].figure.layout.meta.theme ?? theme.value);

/**
 * Return the line styles of the shown runs, one per slot: those of its current run if `has` accepts the columns, else those of the run that the slot showed before.
 * @param {(columns: import('../../types').Columns) => boolean} [has]
 */
export function stylesOf(has = (columns) => columns.start !== null) {
  state.dataTick.value; // subscribes: columns change in place
  const methods = state.slots.value.map((slot) => methodOf(shownOf(slot, has).columns));
  return toRunStyles(methods, shownTheme.value);
}

/** Styles of the chosen runs. */
export const chosenStyles = computed(() =>
  toRunStyles(
    state.settings.value.runs.map((choice) => choice.kind),
    shownTheme.value,
  ),
);
