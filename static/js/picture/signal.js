/** Whether a signal is on its way, for the card and for callers that send one. */

import { signal } from '@preact/signals';
import { ENDS_MS } from './geometry/signal.js';

/** The signal that was sent, null where none is: when, and when it was paused, in ms of the page's clock. */
export const sent = signal(/** @type {{at: number, paused: number | null} | null} */ (null));

/** The way that is drawn now; null where no signal is on its way. */
export const leg = signal(/** @type {import('./geometry/signal.js').Moment['leg'] | null} */ (null));

const stillness = matchMedia('(prefers-reduced-motion: reduce)');

/** Where motion is not wanted, it stands where it has passed all layers. */
export function sendSignal() {
  const now = performance.now();
  sent.value = { at: now, paused: stillness.matches ? now + ENDS_MS.forward : null };
}

export function stopSignal() {
  sent.value = null;
  leg.value = null;
}

/** Whether it stands at the end of a leg, instead of moving. */
export const isStill = () => stillness.matches;

/** Stop it where it is, or let it go on; where motion is not wanted, show the other end. */
export function pauseSignal() {
  const { value } = sent;
  if (!value) return;
  const now = performance.now();
  if (isStill()) {
    const isForward = elapsedOf(value) === ENDS_MS.forward;
    sent.value = { ...value, paused: value.at + ENDS_MS[isForward ? 'backward' : 'forward'] };
  } else if (value.paused === null) sent.value = { ...value, paused: now };
  else sent.value = { at: value.at + now - value.paused, paused: null };
}

/** @param {{at: number, paused: number | null}} value */
export function elapsedOf({ at, paused }) {
  return (paused ?? performance.now()) - at;
}
