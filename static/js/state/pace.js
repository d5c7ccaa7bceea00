/** How long runs take: all of a view as predicted, and what is left of training, from when its latest steps arrived. */

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

/**
 * Seconds from submitting all runs to the end of the last, and memory of those that are computed at once.
 *
 * @param {import('../../types').Cost[]} costs @param {number} workers @param {number} [short_s] runs up to this long have one worker more
 */
export function predictTogether(costs, workers, short_s = 0) {
  const areShort = costs.every((cost) => (cost.seconds_likely ?? cost.seconds) <= short_s);
  return predict(costs, workers + (areShort ? 1 : 0));
}

/** @param {import('../../types').Cost[]} costs @param {number} workers */
function predict(costs, workers) {
  const peaks = costs.map((cost) => cost.peak_bytes).sort((a, b) => b - a);
  return {
    low_s: finishLast(costs, 'seconds_low', workers),
    likely_s: finishLast(costs, 'seconds_likely', workers),
    high_s: finishLast(costs, 'seconds_high', workers),
    peak_bytes: peaks.slice(0, workers).reduce((sum, peak) => sum + peak, 0),
  };
}

/**
 * Runs start in their order, each as soon as a worker is free.
 *
 * @param {import('../../types').Cost[]} costs @param {'seconds_low' | 'seconds_likely' | 'seconds_high'} key @param {number} workers
 */
function finishLast(costs, key, workers) {
  const free = Array(workers).fill(0);
  // Runs that were stored before there was a range have their one number.
  for (const cost of costs) free[free.indexOf(Math.min(...free))] += cost[key] ?? cost.seconds;
  return Math.max(...free);
}
