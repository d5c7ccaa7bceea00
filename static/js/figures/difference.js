/** Differences of runs to the first: B - A, or B / A on logarithmic axes. Counterpart with the reasons: `mhc_core/figures/difference.py`. */

import { createColumns } from '../data/columns.js';
import { depthOf, methodOf } from '../data/record.js';
import { copyFigure } from './dress.js';
import { fill } from './fill.js';

/** @import { Columns, Figure, Matrix, Numbers } from '../../types' */

const LOGARITHMIC = /^(log10|middle\.log10|stream_log10|steps_log10)\./;
const MAX_DECADES = 307; // of a double

/**
 * Fill a template like `fill`, with each run relative to the first, which is not drawn.
 * @param {Figure} template
 * @param {(Columns | null)[]} results
 * @param {string[]} labels
 * @param {number} cursor
 * @param {boolean} [narrow]
 * @returns {Figure}
 */
export function fillDifference(template, results, labels, cursor, narrow = false) {
  if (ignoresDifference(template)) return fill(template, results, labels, cursor, narrow);
  const ratio = drawsLogarithms(template);
  const [base] = results;
  const compared = results.map((result, run) => {
    if (run === 0 || !base || !result) return null;
    const keys = template.data.filter((trace) => trace.meta.run === run).map((trace) => trace.meta.key);
    return subtract(result, base, [...keys, ...(template.layout.meta.lost_rows ?? [])], ratio);
  });
  return fill(
    toDifference(template),
    compared,
    labels.map((label) => `${label} ${ratio ? '/' : '−'} A`),
    cursor,
    narrow,
    results.map(methodOf),
  );
}

/** Return whether a template ignores the difference mode: it shows laws or products of matrices. @param {Figure} template */
export function ignoresDifference(template) {
  return template.data.some((trace) =>
    Object.values(trace.meta.fill).some((source) => /^(law|product)\./.test(source)),
  );
}

/** Return whether a template draws logarithms. Their difference is a ratio, in decades. @param {Figure} template */
function drawsLogarithms(template) {
  return template.data.some((trace) => Object.values(trace.meta.fill).some((source) => LOGARITHMIC.test(source)));
}

/** Describe the unit of a difference to run A. @param {Figure} template @param {string} unit */
export function toDifferenceUnit(template, unit) {
  if (ignoresDifference(template)) return unit;
  return `${drawsLogarithms(template) ? 'ratio' : 'difference'} to A · ${unit}`;
}

/** Return a copy of a template with a zero line, and a diverging colour scale. @param {Figure} template @returns {Figure} */
function toDifference(template) {
  const figure = copyFigure(template);
  const { layout } = figure;
  const { meta } = layout;
  for (const rule of Object.values(meta.axes ?? {})) {
    rule.include = [0];
    delete rule.limits;
  }
  if (meta.axes) {
    const zero = { type: 'line', x0: 0, x1: 1, xref: 'x domain', y0: 0, y1: 0, yref: 'y' };
    layout.shapes = [{ ...zero, layer: 'below', line: { color: meta.muted, width: 1 } }];
  }
  if (meta.diverging) {
    const { cmin: _, cmax: __, ...rest } = layout.coloraxis;
    layout.coloraxis = { ...rest, colorscale: meta.diverging, cmid: 0 };
    meta.symmetric = 'coloraxis';
  }
  meta.empty = meta.rules.no_difference;
  return figure;
}

/**
 * Subtract the columns `keys` of another run; with `ratio`, values are quotients and log10 are decades.
 * @param {Columns} columns
 * @param {Columns} base
 * @param {string[]} keys
 * @param {boolean} ratio
 * @returns {Columns}
 */
export function subtract(columns, base, keys, ratio) {
  const found = {
    ...createColumns(),
    start: columns.start,
    trained: columns.trained,
    lacksSteps: columns.lacksSteps || base.lacksSteps,
    iterations: columns.iterations,
    end: columns.end,
    unknown: new Set([...columns.unknown, ...base.unknown]),
  };
  for (const key of new Set([...keys, 'step_loss'])) {
    const logs = ratio ? pairColumns(columns.log10.get(key), base.log10.get(key)) : null;
    const values = ratio ? null : pairColumns(columns.layers.get(key), base.layers.get(key));
    if (logs) found.log10.set(key, logs);
    if (values) found.layers.set(key, values);
    if (logs)
      found.layers.set(
        key,
        mapNumbers(logs, (log10) => (Math.abs(log10) <= MAX_DECADES ? 10 ** log10 : NaN)),
      );
    const flags = [...(base.status.get(key) ?? []), ...(columns.status.get(key) ?? [])];
    found.status.set(key, new Map(flags.filter(([layer]) => layer < depthOf(columns))));
    found.stepsStatus.set(
      key,
      new Map([...(base.stepsStatus.get(key) ?? []), ...(columns.stepsStatus.get(key) ?? [])]),
    );
    for (const name of /** @type {const} */ (['matrices', 'steps', 'stepsLog10'])) {
      const difference = subtractMatrices(columns[name].get(key), base[name].get(key));
      if (difference) found[name].set(key, difference);
    }
  }
  return found;
}

/** Return whether a column has one value per stream in each layer. @param {any} column @returns {column is (Numbers | null)[]} */
function isStreamed(column) {
  return Array.isArray(column);
}

/** Apply a function to each number of a column, also within lists. @param {any} column @param {(value: number) => number} map @returns {any} */
function mapNumbers(column, map) {
  return isStreamed(column) ? column.map((row) => (row ? row.map(map) : row)) : column.map(map);
}

/** Subtract two columns over the layers; the result has the length of the first. @param {any} ours @param {any} theirs @returns {any} */
function pairColumns(ours, theirs) {
  if (!ours || !theirs || isStreamed(ours) !== isStreamed(theirs)) return null;
  if (!isStreamed(ours))
    return ours.map((/** @type {number} */ value, /** @type {number} */ layer) => value - (theirs[layer] ?? NaN));
  const [own, other] = [ours, theirs].map(
    (rows) => rows.find((/** @type {Numbers | null} */ row) => row !== null)?.length ?? 1,
  );
  if (own !== other && own !== 1 && other !== 1) return null;
  const size = Math.max(own, other);
  return ours.map((row, layer) => {
    const facing = theirs[layer];
    if (!row) return null;
    return Float64Array.from(
      { length: size },
      (_, stream) => row[own === 1 ? 0 : stream] - (facing?.[other === 1 ? 0 : stream] ?? NaN),
    );
  });
}

/** Return ours minus theirs in the shape of ours: NaN where theirs has no entry, null if one is missing or their streams cannot be compared. @param {Matrix | undefined} ours @param {Matrix | undefined} theirs @returns {Matrix | null} */
function subtractMatrices(ours, theirs) {
  if (!ours || !theirs || ours.shape.length !== theirs.shape.length) return null;
  if (ours.shape.length === 3) {
    const size = Math.max(ours.shape[2], theirs.shape[2]);
    [ours, theirs] = [expandToStreams(ours, size), expandToStreams(theirs, size)];
    if (ours.shape[2] !== theirs.shape[2]) return null;
  }
  const [width, facing] = [ours.shape, theirs.shape].map((shape) =>
    shape.slice(1).reduce((product, size) => product * size, 1),
  );
  const data = Float64Array.from(ours.data, (value, index) => {
    const [row, column] = [Math.floor(index / width), index % width];
    return value - (row < theirs.shape[0] && column < facing ? theirs.data[row * facing + column] : NaN);
  });
  return { shape: ours.shape, data };
}

/** Expand a stack (L, 1, 1) to multiples of the identity; return any other stack unchanged. @param {Matrix} stack @param {number} size @returns {Matrix} */
function expandToStreams(stack, size) {
  if (stack.shape[2] !== 1 || size === 1) return stack;
  const data = new Float64Array(stack.shape[0] * size * size);
  stack.data.forEach((value, layer) => {
    for (let stream = 0; stream < size; stream++) data[(layer * size + stream) * size + stream] = value;
  });
  return { shape: [stack.shape[0], size, size], data };
}
