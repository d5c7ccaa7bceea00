/** Columns of a run at a training step, as far as its frames have them. Counterpart: `mhc_core/figures/steps.py`. */

import { createColumns } from '../data/columns.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('../../types').Matrix} Matrix */

/** @typedef {import('../../types').StepRules} StepRules */

/** Map each metric that is recorded at kept steps only to its name in step frames. @param {StepRules} rules @returns {Record<string, string>} */
function keptNames({ kept_columns, matrices }) {
  return { ...kept_columns, ...matrices };
}

/** Map each metric that a step replaces to its name in step frames. @param {StepRules} rules @returns {Record<string, string>} */
function stepNames(rules) {
  return { ...rules.columns, ...keptNames(rules) };
}

/**
 * Return the numbers of the steps on an axis, in order; null if the axis has none. Among several runs the one with the most steps counts.
 * @param {import('../../types').Figure} figure filled
 * @param {string} axis such as `xaxis2`
 * @returns {number[] | null}
 */
export function stepsOn({ data, layout }, axis) {
  if (!(axis in (layout.meta.steps ?? {}))) return null;
  const side = axis[0];
  const drawn = data.filter(
    (trace) => trace.visible !== false && (trace[`${side}axis`] ?? side) === axis.replace('axis', ''),
  );
  const lists = drawn.map((trace) => trace[side] ?? []);
  return lists.reduce((longest, list) => (list.length > longest.length ? list : longest), []);
}

/** Find the step with a number, or the nearest one. @param {number[]} numbers ascending @param {number} wanted @returns {number} from 0 */
export function stepNear(numbers, wanted) {
  return numbers.reduce(
    (best, number, step) => (Math.abs(number - wanted) < Math.abs(numbers[best] - wanted) ? step : best),
    0,
  );
}

/** Return whether a figure shows metrics recorded at kept steps only. @param {import('../../types').Figure} template */
export function showsKept(template) {
  const kept = keptNames(template.layout.meta.rules.steps);
  return template.data.some((trace) => trace.meta.key in kept);
}

/**
 * Return whether a figure can show a step. If no run has its metrics at that step, it shows the trained stack: so for runs stored by
 * an earlier version, and for layer-by-layer maps of deep stacks.
 * @param {import('../../types').Figure} template
 * @param {Columns[]} runs
 * @param {number} step from 0
 */
export function canShowStep(template, runs, step) {
  const rules = template.layout.meta.rules.steps;
  const replaced = stepNames(rules);
  const keys = [...new Set(template.data.map((trace) => trace.meta.key))].filter((key) => key in replaced);
  const trained = runs.filter((columns) => columns.trained > 0);
  const isAvailable = trained.some((columns) => keys.some((key) => hasMetricAtStep(columns, key, step, rules)));
  return isAvailable || !trained.some((columns) => keys.some((key) => hasMetric(columns, key)));
}

/** Return whether a run has a metric at a step. @param {Columns} columns @param {string} key @param {number} step @param {StepRules} rules */
function hasMetricAtStep(columns, key, step, rules) {
  if (key in rules.columns) return columns.steps.has(rules.columns[key]);
  const source = keptNames(rules)[key];
  const index = nearestKept(columns, Math.min(step, columns.trained - 1));
  return index !== null && Boolean(columns.kept.get(source)?.[index]);
}

/**
 * Find the kept step nearest to a step; the earlier of two. Null if none is kept.
 * @param {Columns} columns
 * @param {number} step from 0
 * @returns {number | null} its index among the kept steps
 */
export function nearestKept({ keptSteps }, step) {
  let best = null;
  for (const [index, kept] of keptSteps.entries()) {
    if (best === null || Math.abs(kept - step) < Math.abs(keptSteps[best] - step)) best = index;
  }
  return best;
}

/**
 * Return the columns at a step: before its update, on its batch. Metrics of kept steps come from the nearest kept step. Metrics that the
 * run has but the step's frame lacks are `unknown`, as in runs of earlier versions. A run without training stays unchanged, as does any
 * run for step null; a run that has not reached the step returns its last one. A run whose steps have not been received has no data.
 * @param {Columns} columns
 * @param {number | null} step from 0
 * @param {StepRules} rules
 * @returns {Columns}
 */
export function atStep(columns, step, rules) {
  if (step !== null && columns.lacksSteps) return { ...createColumns(), start: columns.start };
  if (step === null || columns.trained === 0) return columns;
  const row = Math.min(step, columns.trained - 1);
  const found = { ...columns, unknown: new Set(columns.unknown), versions: new Map(columns.versions) };
  for (const name of /** @type {const} */ (['layers', 'log10', 'status', 'matrices', 'bands'])) {
    Object.assign(found, { [name]: withoutReplaced(columns[name], rules) });
  }
  for (const [key, source] of Object.entries(rules.columns)) {
    putRow(found.layers, key, columns.steps.get(source), row);
    putRow(found.log10, key, columns.stepsLog10.get(source), row);
    putStatus(found, key, columns.stepsStatus.get(source)?.get(row));
  }
  const index = nearestKept(columns, row);
  found.input = columns.stepInputs.get(columns.keptSteps[index ?? -1]) ?? {};
  for (const [key, source] of index === null ? [] : Object.entries(keptNames(rules))) {
    const kept = columns.kept.get(source)?.[/** @type {number} */ (index)];
    putStatus(found, key, columns.stepsStatus.get(source)?.get(columns.keptSteps[/** @type {number} */ (index)]));
    if (!kept) continue;
    if (key in rules.matrices) found.matrices.set(key, kept);
    else putKept(found, key, kept, rules.logarithmic.includes(key));
    if (key === 'h_res') found.layers.set('ds_error', toDeviations(kept));
  }
  for (const [key, source] of Object.entries(stepNames(rules))) {
    if (hasMetric(columns, key) && !hasMetric(found, key)) found.unknown.add(key);
    found.versions.set(key, columns.versions.get(source) ?? 0);
  }
  return found;
}

/** Return whether the columns of a run have data of a metric. @param {Columns} columns @param {string} key */
function hasMetric(columns, key) {
  return columns.layers.has(key) || columns.matrices.has(key);
}

/** Copy a table of the trained stack without the metrics that a step replaces or lacks. @param {Map<string, any>} table @param {StepRules} rules */
function withoutReplaced(table, rules) {
  const replaced = stepNames(rules);
  const isUnknown = (/** @type {string} */ key) => rules.unknown.some((start) => key.startsWith(start));
  return new Map([...table].filter(([key]) => !(key in replaced) && !isUnknown(key)));
}

/** Write a kept column (L) or (L, n), with logarithms if it spans decades. @param {Columns} columns @param {string} key @param {Matrix} kept @param {boolean} isLogarithmic */
function putKept(columns, key, { shape, data }, isLogarithmic) {
  columns.layers.set(key, toColumn(shape, data));
  if (isLogarithmic)
    columns.log10.set(
      key,
      toColumn(
        shape,
        data.map((value) => (value > 0 ? Math.log10(value) : NaN)),
      ),
    );
}

/** Split data of shape (L, n) into one row per layer. @param {number[]} shape @param {import('../../types').Numbers} data @returns {any} */
function toColumn([layers, streams], data) {
  return streams === undefined
    ? data
    : Array.from({ length: layers }, (_, layer) => data.slice(layer * streams, (layer + 1) * streams));
}

/** Write the status of a metric. @param {Columns} columns @param {string} key @param {string | Map<number, string> | undefined} flags of a step, by layer */
function putStatus(columns, key, flags) {
  if (flags instanceof Map) columns.status.set(key, flags);
}

/** Compute the deviation of each matrix from doubly stochastic. @param {Matrix} stack */
function toDeviations({ shape: [layers, n], data }) {
  return Float64Array.from({ length: layers }, (_, layer) => {
    const item = data.subarray(layer * n * n, (layer + 1) * n * n);
    let worst = -Math.min(...item);
    for (let i = 0; i < n; i++) {
      let [row, column] = [0, 0];
      for (let j = 0; j < n; j++) [row, column] = [row + item[i * n + j], column + item[j * n + i]];
      worst = Math.max(worst, Math.abs(row - 1), Math.abs(column - 1));
    }
    return worst;
  });
}

/** Write the values of a step, one per layer, into a table of columns. @param {Map<string, any>} table @param {string} key @param {Matrix | undefined} matrix rows are steps @param {number} row */
function putRow(table, key, matrix, row) {
  if (!matrix) return;
  const width = matrix.shape[1];
  table.set(key, matrix.data.slice(row * width, (row + 1) * width));
}
