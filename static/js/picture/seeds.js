/** The range of a run's gain over seeds: measured for runs with several seeds, else sampled from the distribution of its mixing while the page is idle. */

import { signal } from '@preact/signals';
import { formatValue } from '../data/numbers.js';
import { specOf, trainSteps } from '../data/record.js';
import { countDraws, createGainSampler, createNormal, toPercentiles } from '../derived/seedrange.js';
import { whenIdle } from '../state/idle.js';
import * as state from '../state/signals.js';
import { isUnconstrained } from '../state/spec.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('../derived/seedrange.js').Law} Law @typedef {{low: string, high: string, words: string}} Range */

const LEVELS = [0.05, 0.95];
const SLICE_MS = 8;
const SEED = 1;
const MAX_KNOWN = 200; // largest number of cached ranges

/** Caches ranges by settings; null while they are sampled, and for a range whose ends read the same. @type {Map<string, Range | null>} */
const known = new Map();
/** Counts sampled ranges. */
export const rangesDrawn = signal(0);

/** Return the range of a run's gain over seeds; null if unknown. Start sampling if necessary. @param {Columns} columns @returns {Range | null} */
export function gainRangeOf(columns) {
  const numbers = columns.summary?.findings.find(({ key }) => key === 'connection')?.numbers;
  const [low, high] = [numbers?.gain_fwd_log10_p05, numbers?.gain_fwd_log10_p95];
  if (typeof low === 'number' && typeof high === 'number')
    return toRange([low, high], `5 to 95 % of ${specOf(columns)?.seeds} seeds`);
  const law = drawLawOf(columns);
  if (!law) return null;
  const key = JSON.stringify(law);
  if (!known.has(key)) {
    if (state.isMoving.peek() || state.isDragging.peek()) return null; // do not sample for every setting during a drag
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(key, null);
    sampleGainRange(key, law);
  }
  return known.get(key) ?? null;
}

/** Return the distribution from which a run's mixing matrices are drawn; null if unknown. @param {Columns} columns @returns {Law | null} */
function drawLawOf(columns) {
  const { start } = columns;
  const connection = specOf(columns)?.connection;
  if (
    !start?.drift ||
    !connection ||
    !isUnconstrained(connection.kind) ||
    connection.dynamic ||
    specOf(columns)?.edits?.some(isOfMixing) ||
    trainSteps(columns) > 0
  )
    return null;
  const n = start.streams;
  const { origin } = start.drift;
  if (connection.noise === 0 || n < 2 || origin.length !== n * n) return null;
  // Rows of the raw parameters are inputs.
  const initial = Array.from({ length: n * n }, (_, index) => Number(origin[(index % n) * n + Math.floor(index / n)]));
  const law = { n, layers: start.layers, noise: connection.noise, initial };
  return countDraws(law) > 0 ? law : null;
}

/** Return whether an edit changes the mixing. @param {import('../../types').Edit} edit */
const isOfMixing = ({ what }) => what !== 'branch';

/** Sample the gain's range over seeds while the page is idle, in slices of a few milliseconds. @param {string} key @param {Law} law */
function sampleGainRange(key, law) {
  const next = createGainSampler(law, createNormal(SEED));
  const wanted = countDraws(law);
  /** @type {number[]} */
  const gains = [];
  const step = () => {
    const end = performance.now() + SLICE_MS;
    while (gains.length < wanted && performance.now() < end) gains.push(next());
    if (gains.length < wanted) return whenIdle(step);
    known.set(key, toRange(toPercentiles(gains, LEVELS), '5 to 95 % of seeds'));
    rangesDrawn.value++;
  };
  whenIdle(step);
}

/** Format the range of a gain over seeds; null if both ends read the same. @param {number[]} ends log10 @param {string} words @returns {Range | null} */
function toRange(ends, words) {
  const [low, high] = ends.map(formatGainDigits);
  return low === high ? null : { low, high, words };
}

/** Format a gain with two digits. @param {number} log10 */
function formatGainDigits(log10) {
  if (log10 >= 6 || log10 < -2) return formatValue(null, log10, undefined, 3);
  return Number((10 ** log10).toPrecision(2)).toLocaleString('en-US');
}
