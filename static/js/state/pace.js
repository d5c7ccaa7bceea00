/** How long training will take yet, from when its latest steps arrived. Frames hold nothing of the clock. */

/** @typedef {import('../../types').Columns} Columns */

const LATEST = 20; // the steps that come at once, as to a late viewer, are soon forgotten

/** When the latest steps of a run arrived, in ms. @type {WeakMap<Columns, number[]>} */
const arrivals = new WeakMap();

/** A step has arrived. @param {Columns} columns @param {number} now_ms */
export function noteStep(columns, now_ms) {
  const times = [...(arrivals.get(columns) ?? []), now_ms];
  arrivals.set(columns, times.slice(-LATEST));
}

/** Seconds that so many steps will take, or null where too few have been seen. @param {Columns} columns @param {number} steps */
export function secondsLeft(columns, steps) {
  const times = arrivals.get(columns) ?? [];
  if (times.length < 2) return null;
  return ((times[times.length - 1] - times[0]) / (times.length - 1) / 1000) * steps;
}
