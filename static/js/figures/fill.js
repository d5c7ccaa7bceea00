/** Fills a panel's template with the columns of runs, and places labels. `mhc_core/figures/filling.py` fills in the same numbers; tests compare them. */

import { largestMagnitude, logTicks } from '../data/numbers.js';
import { depthOf, methodOf } from '../data/record.js';
import { copyFigure, styleTraces } from './dress.js';
import {
  cellLabel,
  cellNote,
  emptyNote,
  endLabels,
  findLost,
  footNote,
  formatRows,
  formatStatus,
  LABELS,
  lostLabels,
  writeBelow,
} from './labels.js';
import { linearBound, signedLogScale } from './scales.js';
import { lookUp } from './sources.js';
import { writeSums } from './sums.js';

/** Smallest gap between matrices in a column, in grid units: room for the label of the lower one. */
export const MIN_ROW_GAP = 15;

/** @import { Columns, Figure, Trace } from '../../types' */

/**
 * Fill a copy of a template with the data of `results`, in the template's order.
 * @param {Figure} template
 * @param {(Columns | null)[]} results
 * @param {string[]} labels
 * @param {number} cursor layer from 0
 * @param {boolean} [narrow] whether the screen has room for one matrix per row only; default false
 * @param {(string | null)[]} [methods] methods that style the runs; default: those of the results
 * @returns {Figure}
 */
export function fill(template, results, labels, cursor, narrow = false, methods = results.map(methodOf)) {
  const figure = copyFigure(template);
  const { layout } = figure;
  layout.annotations = [];
  styleTraces(figure, methods);
  for (const trace of figure.data) fillTrace(trace, results[trace.meta.run] ?? null, labels, cursor);
  blankOutsideInterval(figure);
  const layers = Math.max(1, ...results.map((result) => (result ? depthOf(result) : 1)));
  const { meta } = layout;
  if (meta.axes) fillAxes(figure, results, layers, narrow);
  if (meta.grid) placeCells(figure, narrow);
  setLayerRanges(figure, layers, cursor, narrow);
  if (meta.symmetric) centerColors(figure, results);
  if (meta.lost_rows) markLostRows(figure, results);
  if (meta.sums) writeSums(layout, visibleTraces(figure), results, cursor, narrow);
  const { unknown, absent } = meta;
  const isNoted = [
    unknown && noteRuns(figure, results, labels, unknown, narrow, (columns, key) => columns.unknown.has(key)),
    absent && noteAbsent(figure, results, labels, absent, narrow),
  ].some(Boolean);
  if (visibleTraces(figure).length === 0) {
    hideTickLabels(layout);
    if (meta.empty && !isNoted) layout.annotations.push(emptyNote(meta.empty, meta.muted));
  }
  return figure;
}

/** Hide the tick labels of a figure without data: Plotly would show numbers of its own. @param {Record<string, any>} layout */
function hideTickLabels(layout) {
  for (const name of Object.keys(layout).filter((key) => /^[xy]axis/.test(key))) layout[name].showticklabels = false;
}

/** List the visible traces of a figure. @param {Figure} figure */
function visibleTraces(figure) {
  return figure.data.filter((trace) => trace.visible !== false);
}

/** Fill the attributes of one trace; hide it if data is missing. @param {Trace} trace @param {Columns | null} result @param {string[]} labels @param {number} cursor */
function fillTrace(trace, result, labels, cursor) {
  if (!result?.start) {
    trace.visible = false;
    return;
  }
  for (const [attribute, source] of Object.entries(trace.meta.fill)) {
    const data = lookUp(source, result, labels[trace.meta.run], cursor);
    if (data === null) {
      trace.visible = false;
      return;
    }
    trace[attribute] = data;
  }
}

/** Replace the values of curves outside the chosen interval by null, in place, so that axes and labels cover the interval only. Layers count from 0 in `meta.interval` and from 1 on the axis. @param {Figure} figure */
function blankOutsideInterval({ data, layout: { meta } }) {
  if (!meta.interval || meta.layers?.xaxis !== 'line') return;
  const [first, last] = meta.interval;
  for (const trace of data.filter((item) => item.visible !== false)) {
    const isShown = (/** @type {number | null} */ layer) => layer !== null && first < layer && layer <= last + 1;
    trace.y = trace.y.map((/** @type {number | null} */ value, /** @type {number} */ index) =>
      isShown(trace.x[index]) ? value : null,
    );
  }
}

/** Return whether a run ended without a metric. @param {Columns} columns @param {string} key */
function endedWithout({ end, layers, matrices }, key) {
  return end !== null && !layers.has(key) && !matrices.has(key);
}

/** Return why a run lacks the metric of a figure: the first reason that applies. @param {Columns} columns @param {import('../../types').Absent} absent */
function whyAbsent({ unknown, matrices }, { key, text, reasons = [] }) {
  const applies = (/** @type {import('../../types').AbsentReason} */ reason) => {
    if (reason.unknown) return unknown.has(key);
    if (reason.with) return matrices.has(reason.with);
    return (matrices.get(reason.without ?? '')?.shape.at(-1) ?? 1) === 1;
  };
  return reasons.find(applies)?.text ?? text;
}

/** Name on the figure the runs that ended without its metric, by reason; return whether there are any. @param {Figure} figure @param {(Columns | null)[]} results @param {string[]} labels @param {import('../../types').Absent} absent @param {boolean} narrow */
function noteAbsent(figure, results, labels, absent, narrow) {
  const reasons = results.map((columns) =>
    columns && endedWithout(columns, absent.key) ? whyAbsent(columns, absent) : null,
  );
  const texts = [...new Set(reasons)].flatMap((text) => text ?? []);
  if (texts.length > 1 && visibleTraces(figure).length === 0) {
    const lines = texts.map((text) => `${labels.filter((_, run) => reasons[run] === text).join(', ')}: ${text}`);
    figure.layout.annotations.push(emptyNote(lines.join('<br>'), figure.layout.meta.muted));
    return true;
  }
  const isMeant = (/** @type {string} */ text) => (/** @type {Columns} */ columns) =>
    reasons[results.indexOf(columns)] === text;
  return texts.map((text) => noteRuns(figure, results, labels, text, narrow, isMeant(text))).some(Boolean);
}

/**
 * Name on the figure the runs that lack data, for one reason; return whether there are any.
 * @param {Figure} figure
 * @param {(Columns | null)[]} results
 * @param {string[]} labels
 * @param {string} reason
 * @param {boolean} narrow whether the names and the reason need a line each
 * @param {(columns: Columns, key: string) => boolean} isMeant `key`: a metric that the figure draws
 */
function noteRuns({ data, layout }, results, labels, reason, narrow, isMeant) {
  const runs = results.flatMap((columns, run) =>
    columns && data.some(({ meta }) => meta.run === run && isMeant(columns, meta.key)) ? [run] : [],
  );
  if (runs.length === 0) return false;
  const note = `${runs.map((run) => labels[run]).join(', ')}:${narrow ? '<br>' : ' '}${reason}`;
  if (data.every((trace) => trace.visible === false)) layout.annotations.push(emptyNote(reason, layout.meta.muted));
  else if ((layout.meta.axes || layout.meta.grid) && !layout.meta.isSmall) writeBelow(layout, note);
  else layout.annotations.push(footNote(note, layout.meta.muted, layout.paper_bgcolor));
  return true;
}

// ---- curves

/** Set ranges, ticks and margins of value axes. @param {Figure} figure @param {(Columns | null)[]} results @param {number} layers @param {boolean} narrow */
function fillAxes(figure, results, layers, narrow) {
  const { layout } = figure;
  const { letter_px } = layout.meta.labels ?? LABELS;
  let longest = 0; // characters of the longest label right of the curves
  for (const [name, rule] of Object.entries(layout.meta.axes)) {
    const span = dataRange(figure, rule);
    Object.assign(layout[name], { range: span, autorange: false });
    if (rule.scale === 'log') {
      const [tickvals, ticktext] = logTicks(...span);
      Object.assign(layout[name], { tickmode: 'array', tickvals, ticktext });
    }
    longest = Math.max(longest, labelLines(figure, results, span, layers, narrow));
  }
  const ticks = Object.keys(layout.meta.axes).flatMap((name) => layout[name].ticktext ?? []);
  if (narrow) layout.margin.l = ticks.some((/** @type {string} */ text) => text.includes('×')) ? 56 : 40;
  layout.margin.r = narrow
    ? 19 + Math.round(letter_px * Math.max(1, longest))
    : 18 + Math.round(letter_px * Math.max(3, longest, ...visibleTraces(figure).map(nameLength)));
}

/** Count the characters of a trace's name; 0 if it has no end label. @param {Trace} trace */
function nameLength(trace) {
  return trace.meta.end ? [...trace.name].length : 0;
}

/** Compute the padded range of the values on an axis. @param {Figure} figure @param {any} rule @returns {[number, number]} */
function dataRange(figure, rule) {
  const values = [...visibleTraces(figure).flatMap((trace) => trace.y), ...rule.include].filter(
    (value) => value !== null,
  );
  if (values.length === 0) return [0, 1];
  let low = Math.min(...values);
  let high = Math.max(...values);
  const least = Math.max(figure.layout.meta.rules.min_span[rule.scale], 1e-3 * Math.abs(high));
  if (high - low < least) {
    const middle = (low + high) / 2;
    [low, high] = [middle - least / 2, middle + least / 2];
  }
  const pad = 0.05 * (high - low);
  [low, high] = [low - pad, high + pad];
  if (rule.limits) [low, high] = [Math.max(low, rule.limits[0] - pad), Math.min(high, rule.limits[1] + pad)];
  return [low, high];
}

/**
 * Label the ends of curves, and the points where they stop; return the characters of the longest end label.
 * @param {Figure} figure
 * @param {(Columns | null)[]} results
 * @param {[number, number]} span of their axis
 * @param {number} layers
 * @param {boolean} narrow
 */
function labelLines(figure, results, span, layers, narrow) {
  const [ends, losses] = [/** @type {any[]} */ ([]), /** @type {any[]} */ ([])];
  for (const trace of visibleTraces(figure).filter((item) => item.meta.end)) {
    const result = /** @type {Columns} */ (results[trace.meta.run]);
    const { color } = trace.line;
    const isStep = trace.meta.fill.x === 'step';
    const flags = /** @type {Map<number, string> | undefined} */ (
      (isStep ? result.stepsStatus : result.status).get(trace.meta.key)
    );
    const [first, last] = isStep ? [0, trace.y.length - 1] : shownLayers(figure, layers);
    const status = [...(flags ?? [])].filter(([index]) => index >= first && index <= last);
    const lost = findLost(
      trace.y,
      new Map(status),
      isStep ? 'step' : 'layer',
      isStep ? trace.x : undefined,
      figure.layout.meta.lost,
    );
    if (lost && lost.point !== null) {
      const share = (trace.y[lost.point] - span[0]) / (span[1] - span[0]);
      losses.push({
        point: lost.point,
        x: trace.x[lost.point],
        share,
        text: `${trace.name}: ${lost.text}`,
        middle: (first + last + 1) / 2,
        color,
      });
    }
    const end = lineEnd(trace, result, lost, span);
    if (end) ends.push({ ...end, color, run: trace.meta.run });
  }
  ends.sort((one, other) => one.run - other.run); // traces are drawn from the last run to the first
  const { gap } = figure.layout.meta.labels ?? LABELS;
  const labels = endLabels(ends, narrow, gap);
  figure.layout.annotations.push(...lostLabels(losses, span, narrow, gap), ...labels);
  return Math.max(0, ...labels.map(({ text }) => [...text].length));
}

/** Return position and text of a curve's end label, or null. @param {Trace} trace @param {Columns} result @param {{text: string, ends: boolean} | null} lost @param {[number, number]} span */
function lineEnd(trace, result, lost, span) {
  const known = trace.y.filter((/** @type {number | null} */ value) => value !== null);
  if (known.length > 0 && lost?.ends) return null; // the label is where the curve stops
  if (known.length > 0) return { place: (known[known.length - 1] - span[0]) / (span[1] - span[0]), text: trace.name };
  if (lost) return { place: 1, text: `${trace.name}: ${lost.text}` };
  const raw = /** @type {import('../../types').Numbers | undefined} */ (result.layers.get(trace.meta.key));
  return raw?.every((value) => value === 0) ? { place: 0, text: `${trace.name}: 0` } : null;
}

// ---- layers along an axis

/** Return the first and last shown layer, from 0. @param {Figure} figure @param {number} layers @returns {[number, number]} */
function shownLayers({ layout }, layers) {
  return layout.meta.interval ?? [0, layers - 1];
}

/** Set the ranges of axes that count layers. @param {Figure} figure @param {number} layers @param {number} cursor @param {boolean} narrow */
function setLayerRanges(figure, layers, cursor, narrow) {
  const interval = shownLayers(figure, layers);
  for (const [name, kind] of Object.entries(figure.layout.meta.layers ?? {})) {
    const span = layerRange(figure, kind, interval, cursor, narrow);
    Object.assign(figure.layout[name], { range: span, autorange: false });
    // Plotly would put ticks at half layers, labelled with whole numbers.
    if (Math.abs(span[1] - span[0]) <= figure.layout.meta.rules.few_layers)
      Object.assign(figure.layout[name], { tickmode: 'linear', tick0: 1, dtick: 1 });
  }
}

/** Compute the range of an axis that counts layers, in its unit: lines, cells of a map, or some matrices around the cursor. @param {Figure} figure @param {string} kind @param {[number, number]} interval @param {number} cursor @param {boolean} narrow */
function layerRange(figure, kind, [first, last], cursor, narrow) {
  if (kind === 'line') {
    const pad = first === last ? 0.5 : 0.01 * (last - first);
    return [first + 1 - pad, last + 1 + pad];
  }
  if (kind === 'cells') return [first + 0.5, last + 1.5];
  if (kind === 'cells-down') return [last + 1.5, first + 0.5];
  if (kind === 'sources') return [first - 0.5, last + 0.5];
  const layers = last - first + 1;
  const { window_columns } = figure.layout.meta.rules;
  const columns = narrow ? window_columns / 3 : window_columns;
  const step = Math.min(1, ...visibleTraces(figure).map((trace) => trace.dx));
  const width = Math.min(layers, Math.max(4, Math.floor(columns * step)));
  const start = Math.min(Math.max(cursor + 1 - (width - 1) / 2, first + 1), last - width + 2);
  return [start - 0.5, start + width - 0.5];
}

// ---- matrices

/**
 * Divide the space among runs that have a matrix; hide the axes of the others.
 * @param {Figure} figure
 * @param {boolean} narrow
 */
function placeCells(figure, narrow) {
  const { layout } = figure;
  const { grid } = layout.meta;
  const { direction, cell, cells } = grid;
  const rows = narrow || direction === 'rows';
  const gap = rows ? Math.max(grid.gap, MIN_ROW_GAP) : grid.gap;
  const present = visibleTraces(figure).map((trace) => trace.meta.run);
  const total = present.length * cell + Math.max(0, present.length - 1) * gap;
  for (const [run, [xName, yName]] of cells.entries()) {
    const [x, y] = [layout[xName], layout[yName]];
    const index = present.indexOf(run);
    x.visible = y.visible = index >= 0;
    if (index < 0) continue;
    const start = index * (cell + gap);
    const share = [start / total, (start + cell) / total];
    x.domain = rows ? [0, 1] : share;
    y.domain = rows ? [1 - share[1], 1 - share[0]] : [0, 1];
    if (layout.meta.sums) continue;
    if (rows && index < present.length - 1) Object.assign(x, { showticklabels: false, title: null });
    if (!rows && index > 0) {
      y.showticklabels = false;
      x.title = y.title = null; // adjacent titles would overlap, and the matrix before
    }
  }
  for (const trace of visibleTraces(figure)) {
    layout.annotations.push(cellLabel(trace.name, trace.xaxis, trace.yaxis, layout.meta.colors[trace.meta.run]));
  }
}

/** Set one symmetric colour scale for all runs and layers. @param {Figure} figure @param {(Columns | null)[]} results */
function centerColors(figure, results) {
  const { meta } = figure.layout;
  const axis = figure.layout[meta.symmetric];
  if (meta.signed_log) {
    const { colorbar, ...ends } = signedLogScale(
      Math.max(0, ...visibleTraces(figure).flatMap((trace) => trace.z.map(largestMagnitude))),
      meta.rules,
    );
    Object.assign(axis.colorbar, colorbar);
    Object.assign(axis, ends);
    return;
  }
  const sizes = visibleTraces(figure).map((trace) => {
    const result = results[trace.meta.run];
    return largestMagnitude(
      (result?.matrices.get(trace.meta.key) ?? result?.stepsLog10.get(trace.meta.key))?.data ?? [],
    );
  });
  const bound = linearBound(Math.max(0, ...sizes));
  Object.assign(axis, { cmin: -bound, cmax: bound });
}

/** Annotate matrices with the rows that have no numbers, and the reason. @param {Figure} figure @param {(Columns | null)[]} results */
function markLostRows({ data, layout }, results) {
  const { lost_rows: keys, muted } = layout.meta;
  for (const trace of data.filter((item) => item.visible !== false)) {
    const flags = new Map(
      keys.flatMap((/** @type {string} */ key) => [...(results[trace.meta.run]?.status.get(key) ?? [])]),
    );
    const own = results[trace.meta.run]?.status.get(trace.meta.key);
    const known = new Set(
      trace.z.flatMap((/** @type {Float64Array} */ cells, /** @type {number} */ row) =>
        cells.some(Number.isFinite) ? [row] : [],
      ),
    );
    // The status of another metric applies only if the row has no numbers.
    const lost = [...flags.keys()].filter((row) => own?.has(row) || !known.has(row)).sort((a, b) => a - b);
    if (lost.length === 0) continue;
    const text = `${formatStatus(String(flags.get(lost[0])))}<br>${formatRows(lost, Math.max(-1, ...[...known].filter((row) => !lost.includes(row))))}`;
    layout.annotations.push(cellNote(text, trace.xaxis, trace.yaxis, muted, layout.paper_bgcolor));
  }
}
