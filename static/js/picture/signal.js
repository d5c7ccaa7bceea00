/** Whether a signal is under way, for the card and for callers that send one. */

import { signal } from '@preact/signals';

/** When the signal was sent, in ms of the page's clock; null where none is under way. */
export const sentAt = signal(/** @type {number | null} */ (null));

export function sendSignal() {
  sentAt.value = performance.now();
}

export function stopSignal() {
  sentAt.value = null;
}
