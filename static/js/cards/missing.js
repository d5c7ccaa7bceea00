/** Notes below a figure about metrics that recordings lack. */

import { describeMissingMetrics } from '../data/record.js';
import * as state from '../state/signals.js';
import { html } from '../ui/html.js';

/** Render which metrics of a figure the recordings lack, and why. @param {{figure: import('../../types').Figure}} props a view's template */
export function Missing({ figure }) {
  state.dataTick.value;
  return describeMissingMetrics(figure, state.slots.value).map((text) => html`<p class="hint missing">${text}</p>`);
}
