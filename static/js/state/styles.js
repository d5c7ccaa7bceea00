/** How the compared runs look: by method, in the theme that is on. */

import { computed } from '@preact/signals';
import { shownOf } from '../data/drawing.js';
import { toRunStyles } from '../data/dress.js';
import { methodOf } from '../data/record.js';
import { theme } from './look.js';
import * as state from './signals.js';

/** The theme of the figures: on paper that of paper. */
export const shownTheme = computed(() => state.templates.value?.panels[0].figure.layout.meta.theme ?? theme.value);

/**
 * Of the runs that are told of: each place's own where it has what is looked for, else what was there before.
 * @param {(columns: import('../../types').Columns) => boolean} [has]
 */
export function stylesOf(has = (columns) => columns.start !== null) {
  state.dataTick.value;
  const methods = state.slots.value.map((slot) => methodOf(shownOf(slot, has).columns));
  return toRunStyles(methods, shownTheme.value);
}

/** Of the runs that are chosen. */
export const chosenStyles = computed(() =>
  toRunStyles(
    state.settings.value.runs.map((choice) => choice.kind),
    shownTheme.value,
  ),
);
