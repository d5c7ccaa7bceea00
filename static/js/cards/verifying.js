/** What asks for a verification. What shows it is loaded when it is first wanted. */

import { signal } from '@preact/signals';
import { modelOf } from '../data/record.js';
import * as state from '../state/signals.js';
import { html } from '../ui/html.js';

/** @typedef {import('../state/signals.js').Slot} Slot */

/** The run that is verified: as it was when that was asked for. */
export const verified = signal(/** @type {Slot | null} */ (null));

/** Whether a place shows a record that is done, and is the view's own. @param {Slot | undefined} slot @returns {slot is Slot} */
export function isVerifiable(slot) {
  // The phase first: readers follow it, and columns do not signal that they have ended.
  return state.phase.value === 'idle' && slot?.columns.end?.status === 'done';
}

/** @param {Slot} slot */
export function verify(slot) {
  verified.value = slot;
}

/** @param {{slot: Slot}} props */
export function VerifyButton({ slot }) {
  if (!isVerifiable(slot)) return null;
  return html`<button type="button" class="reset verify-button" aria-label=${`Verify run ${slot.label}`}
    title=${modelOf(slot.columns) === null ? 'Hold its numbers against theory and against float64' : 'Hold its numbers against each other'} onClick=${() => verify(slot)}>Verify</button>`;
}
