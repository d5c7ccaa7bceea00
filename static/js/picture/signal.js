/** State of the signal animation. */

import { signal } from '@preact/signals';
import { ENDS_MS } from './signalfront.js';

/** The sent signal: start and pause times in ms of the page's clock; null if none. */
export const sent = signal(/** @type {{at: number, paused: number | null} | null} */ (null));

/** The drawn leg; null without a signal. */
export const leg = signal(/** @type {import('./signalfront.js').Moment['leg'] | null} */ (null));

const stillness = matchMedia('(prefers-reduced-motion: reduce)');

/** Send a signal; with reduced motion, show its end state. */
export function sendSignal() {
  const now = performance.now();
  sent.value = { at: now, paused: stillness.matches ? now + ENDS_MS.forward : null };
}

/** Stop the signal that runs through the picture. */
export function stopSignal() {
  sent.value = null;
  leg.value = null;
}

/** Return whether the signal is shown at the end of a leg instead of moving. */
export const isStill = () => stillness.matches;

/** Pause or continue the signal; with reduced motion, show the other end state. */
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

/** Return the ms since the signal was sent, without pauses. @param {{at: number, paused: number | null}} value */
export function elapsedOf({ at, paused }) {
  return (paused ?? performance.now()) - at;
}
