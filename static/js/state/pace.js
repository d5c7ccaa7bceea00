/** Predicts durations: of all runs of a view, and of the remaining training steps from the latest arrivals. */

/** @typedef {import('../../types').Columns} Columns */

const LATEST = 20; // so that steps that arrive together, as for a late viewer, stop counting soon

/** Arrival times of the latest steps of a run, in ms. @type {WeakMap<Columns, number[]>} */
const arrivals = new WeakMap();

/** Record the time at which a training step arrives. @param {Columns} columns @param {number} now_ms */
export function recordArrival(columns, now_ms) {
  const times = [...(arrivals.get(columns) ?? []), now_ms];
  arrivals.set(columns, times.slice(-LATEST));
}

/** Predict the seconds of so many steps; null if fewer than two have arrived. @param {Columns} columns @param {number} steps */
export function secondsLeft(columns, steps) {
  const times = arrivals.get(columns) ?? [];
  if (times.length < 2) return null;
  return ((times[times.length - 1] - times[0]) / (times.length - 1) / 1000) * steps;
}

/**
 * Predict the seconds until all runs are done, and the peak memory of runs computed in parallel.
 *
 * @param {import('../../types').Cost[]} costs @param {number} workers @param {number} [short_s] runs up to this duration can use one more worker; default 0
 */
export function predictTogether(costs, workers, short_s = 0) {
  const areShort = costs.every((cost) => (cost.seconds_likely ?? cost.seconds) <= short_s);
  const count = workers + (areShort ? 1 : 0);
  const peaks = costs.map((cost) => cost.peak_bytes).sort((a, b) => b - a);
  return {
    low_s: finishLast(costs, 'seconds_low', count),
    likely_s: finishLast(costs, 'seconds_likely', count),
    high_s: finishLast(costs, 'seconds_high', count),
    peak_bytes: peaks.slice(0, count).reduce((sum, peak) => sum + peak, 0),
  };
}

/**
 * Return when the last run ends: runs start in order, each as soon as a worker is free.
 *
 * @param {import('../../types').Cost[]} costs @param {'seconds_low' | 'seconds_likely' | 'seconds_high'} key @param {number} workers
 */
function finishLast(costs, key, workers) {
  const free = Array(workers).fill(0);
  // Runs stored by earlier versions have a single number instead of a range.
  for (const cost of costs) free[free.indexOf(Math.min(...free))] += cost[key] ?? cost.seconds;
  return Math.max(...free);
}
