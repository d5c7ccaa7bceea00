/** Below a figure: what the traces of the view do not tell of it, and why. */

import { describeMissingMetrics } from '../data/record.js';
import * as state from '../state/signals.js';
import { html } from '../ui/html.js';

/** @param {{figure: import('../../types').Figure}} props a view's template */
export function Missing({ figure }) {
  state.dataTick.value;
  return describeMissingMetrics(figure, state.slots.value).map((text) => html`<p class="hint missing">${text}</p>`);
}
