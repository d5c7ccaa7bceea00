/** Starts a verification and shows its verdict. The table of checks is loaded when it is first opened. */

import { signal } from '@preact/signals';
import { modelOf } from '../data/record.js';
import { hasServer } from '../net/sent.js';
import * as state from '../state/signals.js';
import { html } from '../ui/html.js';

/** @typedef {import('../state/signals.js').Slot} Slot */

/** The run whose checks are shown, as it was at the request. */
export const verified = signal(/** @type {Slot | null} */ (null));

/** The run whose lens is shown, as it was at the request. */
export const observed = signal(/** @type {Slot | null} */ (null));

/** Return whether a slot shows a finished record of the view. @param {Slot | undefined} slot @returns {slot is Slot} */
export function isVerifiable(slot) {
  // Read the phase first: it is a signal, while the end of columns is not.
  return hasServer && state.phase.value === 'idle' && slot?.columns.end?.status === 'done';
}

/** Open the dialog with the verification of a run. @param {Slot} slot */
export function openVerification(slot) {
  verified.value = slot;
}

/** Verdicts of this visit, by run id. */
export const verdicts = signal(/** @type {Record<string, import('../../types').Check['verdict']>} */ ({}));

/** Largest difference of outputs in two bases, relative to the largest output, of the verifications of this visit by run id; null where Verify has none. */
export const basisErrors = signal(/** @type {Record<string, number | null>} */ ({}));

const MARKS = { holds: '✓ verified', fails: '✗ fails', skipped: '– no law applies' };

/** Render the verdict of a run, or the button that requests it; both open the table of checks. @param {{slot: Slot}} props */
export function VerifyMark({ slot }) {
  if (!isVerifiable(slot)) return null;
  const verdict = verdicts.value[slot.id];
  const title =
    modelOf(slot.columns) === null
      ? 'Check its numbers against theory and a float64 recomputation'
      : 'Check its numbers against each other';
  return html`<button type="button" class=${`verify-button ${verdict ?? ''}`} aria-label=${`${verdict ? `${MARKS[verdict]}:` : 'Verify'} run ${slot.label}`}
    title=${title} onClick=${() => openVerification(slot)}>${verdict ? MARKS[verdict] : 'Verify'}</button>`;
}
