/** How wide a size is drawn: logarithmic, and one scale for all runs. No browser here. */

import { formatValue, logTicks } from '../../data/numbers.js';

/** From log10 to pixels. @typedef {{low: number, high: number, least_px: number, most_px: number}} Scale */

const LEAST_PX = 1.5;
const STEPS = 4; // of a decade, to which the ends are rounded: a ribbon must not change with every layer that comes
const MIN_DECADES = 1; // lest small differences look large

/** @param {[number, number] | null} span least and largest log10 @param {number} most_px @returns {Scale} */
export function toScale(span, most_px) {
  const [least, largest] = span ?? [0, 0];
  const low = Math.floor(least * STEPS) / STEPS;
  const high = Math.max(low + MIN_DECADES, Math.ceil(largest * STEPS) / STEPS);
  return { low, high, least_px: Math.min(LEAST_PX, most_px), most_px };
}

/** @param {Scale} scale @param {number} log10 */
export function widthAt({ low, high, least_px, most_px }, log10) {
  return least_px + ((log10 - low) / (high - low)) * (most_px - least_px);
}

const MAX_KEYS = 4;

/** Sizes for the key, spread over the scale, with their words. @param {Scale} scale @returns {{log10: number, text: string}[]} */
export function keysOf({ low, high }) {
  const [places] = logTicks(low, high);
  const step = Math.max(1, Math.ceil(places.length / MAX_KEYS));
  return places.filter((_, index) => index % step === 0).map((log10) => ({ log10, text: formatLog(log10) }));
}

const DIGITS = 3;

/** A size as people read it. @param {number} log10 */
export function formatLog(log10) {
  const isPlain = Math.abs(log10) < 300; // a double holds it
  return formatValue(isPlain ? 10 ** log10 : null, Number.isNaN(log10) ? null : log10, undefined, DIGITS);
}
