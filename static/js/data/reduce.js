/** Reduces a column to one number, like `mhc_core/record/reduction.py`: the headline of a run in a preset's view. */

/** @typedef {import('../../types').Columns} Columns */
/** `value` is null outside the range of a double; `status` says why there is no number. @typedef {{value: number | null, log10: number | null, status: string}} Reduced */

const ABSENT = { value: null, log10: null, status: 'absent' };

/**
 * Reduce a metric with one number per layer or training step to one number. Metrics that span decades are reduced as logarithms.
 * @param {Columns} columns
 * @param {string} key
 * @param {string} reduction max, min, median, first or last
 * @returns {Reduced}
 */
export function reduceColumn(columns, key, reduction) {
  const column = findColumn(columns, key);
  if (!column) return ABSENT;
  const [values, log10, flags] = selectEntries(column, reduction);
  const status = statusInstead([...flags.values()], reduction, log10);
  if (status) return { value: null, log10: null, status };
  const numbers = log10 ? log10.map((power, index) => (values[index] === 0 ? -Infinity : power)) : values;
  const known = numbers.map((_, index) => index).filter((index) => !Number.isNaN(numbers[index]));
  if (known.length === 0) return ABSENT;
  const order = known.sort((a, b) => numbers[a] - numbers[b]);
  if (reduction === 'median' && order.length > 1)
    return toMedian(
      order.map((index) => numbers[index]),
      log10 !== null,
    );
  const index = reduction === 'min' ? order[0] : order[order.length - 1];
  return toReduced(numbers[index], values[index], log10 !== null);
}

/** Find values, log10 and status of a metric. @param {Columns} columns @param {string} key @returns {[number[], number[] | null, Map<number, string>] | null} */
function findColumn({ layers, log10, status, steps, stepsLog10, stepsStatus }, key) {
  const ofSteps = steps.get(key);
  if (ofSteps) {
    const logs = stepsLog10.get(key);
    const flags = /** @type {Map<number, string>} */ (stepsStatus.get(key) ?? new Map());
    return [Array.from(ofSteps.data), logs ? Array.from(logs.data) : null, flags];
  }
  const found = /** @type {import('../../types').Numbers | undefined} */ (layers.get(key));
  if (!found) return null;
  const logs = /** @type {import('../../types').Numbers | undefined} */ (log10.get(key));
  return [Array.from(found), logs ? Array.from(logs) : null, status.get(key) ?? new Map()];
}

/** Select the entries of a column that a reduction uses: the first, the last, or all. @param {[number[], number[] | null, Map<number, string>]} column @param {string} reduction @returns {[number[], number[] | null, Map<number, string>]} */
function selectEntries([values, log10, flags], reduction) {
  if (reduction !== 'first' && reduction !== 'last') return [values, log10, flags];
  const index = reduction === 'first' ? 0 : values.length - 1;
  const flag = flags.get(index);
  return [[values[index]], log10 && [log10[index]], new Map(flag === undefined ? [] : [[0, flag]])];
}

/** Return the status that replaces the reduced number; null if the known numbers suffice. @param {string[]} flags @param {string} reduction @param {number[] | null} log10 */
function statusInstead(flags, reduction, log10) {
  const decisive = ['nan', 'unknown', 'constant'].find((flag) => flags.includes(flag));
  if (decisive) return decisive;
  if (log10?.some(Number.isFinite) && !log10.some(Number.isNaN)) return null;
  if (flags.includes('overflow') && reduction !== 'min') return 'overflow';
  return flags.includes('underflow') && reduction !== 'max' ? 'underflow' : null;
}

/** Compute the median of sorted numbers; of logarithms it is that of magnitudes. @param {number[]} sorted @param {boolean} isLog */
function toMedian(sorted, isLog) {
  const middle = (sorted.length - 1) / 2;
  const number = (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2;
  return toReduced(number, isLog ? 10 ** number : number, isLog);
}

/** Return value, log10 and status of a mean or another summary of a metric. @param {number} number the summary, a log10 where the metric is logarithmic @param {number} value the summary as a plain value @param {boolean} isLog whether the metric is logarithmic @returns {Reduced} */
function toReduced(number, value, isLog) {
  if (!isLog) return { value, log10: null, status: 'finite' };
  if (number === -Infinity) return { value: 0, log10: null, status: 'finite' };
  if (!Number.isFinite(value) || value === 0)
    return { value: null, log10: number, status: number > 0 ? 'overflow' : 'underflow' };
  return { value, log10: number, status: 'finite' };
}
