/** Formats a sweep as figure, table and text. No browser here. */

import { formatValue, inclusiveRange } from '../data/numbers.js';
import { lettersIn } from '../figures/ink.js';
import { kindName, nameOf } from '../state/spec.js';

/** @import { Field, Figure, SweepChoice, SweepValues } from '../../types' */

const ROW_PX = { wide: 46, narrow: 36, most: 72 };
const ROW_SHARE = 0.055; // of the width, so that cells keep their shape on wide screens
const NARROW_PX = 480;
const LETTER_PX = 7;
const LETTERS_PX = { least: 9, most: 12 }; // font size in a cell
const CROSS = '×';
const BLANK = ' '; // Plotly removes empty labels, and then drops the next number
/** Texts of statuses whose name does not explain why a cell has no number. */
const REASONS = /** @type {Record<string, string>} */ ({
  missing: 'not computed',
  held: 'not started',
  gone: 'deleted',
  absent: 'no such metric',
  nan: 'not a number',
  unknown: 'unknown',
});

/** How to read a sweep; the formula is that of the metric. */
export const READING =
  'Each cell is one run. All cells have the same size, whatever the steps between values. For a metric that is a factor, 1 is the ' +
  'middle of the colour scale. A grey cell with a word or a cross has no number: the table says why.';

/** Fit the figure of a sweep to a width: without title, and with numbers as large as the cells allow, or hidden. @param {Figure} figure @param {number} width in pixels */
export function fitSweepFigure({ data, layout }, width) {
  const [, cells] = data;
  const rows = cells.z.length;
  const margin = { ...layout.margin, t: 8 };
  const room = (width - margin.l - margin.r) / cells.z[0].length;
  const row = width < NARROW_PX ? ROW_PX.narrow : Math.min(ROW_PX.most, Math.max(ROW_PX.wide, ROW_SHARE * width));
  const title_px = LETTER_PX * (layout.yaxis.title?.text ?? '').length; // the vertical axis title
  const height = Math.round(margin.t + margin.b + Math.max(2 * row, rows * row, title_px));
  const fitted = data.map((trace) => ({
    ...(trace.type === 'scatter' ? fitText(trace, cells.z.flat(), room) : trace),
    hoverinfo: 'skip',
  }));
  return { figure: { data: fitted, layout: { ...layout, margin, title: undefined } }, height };
}

/** Show the texts of all cells of a sweep, or in small cells a cross for a missing number, because its grey resembles the colour of a gain of 1. @param {import('../../types').Trace} trace @param {(number | null)[]} places on the colours @param {number} room in pixels */
function fitText(trace, places, room) {
  const size = Math.min(LETTERS_PX.most, lettersIn(trace.text, room));
  if (size >= LETTERS_PX.least)
    return {
      ...trace,
      text: trace.text.map((/** @type {string} */ own) => own || BLANK),
      textfont: { ...trace.textfont, size },
    };
  const fits = (/** @type {string} */ text) => lettersIn([text], room) >= LETTERS_PX.most;
  const text = trace.text.map((/** @type {string} */ own, /** @type {number} */ cell) =>
    places[cell] !== null || !own ? BLANK : fits(own) ? own : CROSS,
  );
  return { ...trace, text, textfont: { ...trace.textfont, size: LETTERS_PX.most } };
}

/** Describe the axes of a sweep: `Depth × Streams`. @param {Map<string, Field>} fields @param {SweepChoice} sweep */
export function describeAxes(fields, sweep) {
  return [sweep.x, sweep.y].flatMap((axis) => (axis ? [titleOf(fields, axis.path)] : [])).join(' × ');
}

/** Describe what the runs of a sweep share: connection, size, seed, type, and settings that differ from the default. @param {Map<string, Field>} fields @param {import('../../types').View} view @param {SweepChoice} sweep */
export function describeSharedSettings(fields, view, sweep) {
  const { kind, own } = view.runs[sweep.run];
  const set = { ...view.base, ...own };
  const always = ['depth', 'width', 'seed', 'dtype'];
  const others = Object.keys(set)
    .filter((path) => !always.includes(path) && path !== 'input.text')
    .sort();
  const swept = [sweep.x.path, sweep.y?.path];
  const settings = [...always, ...others]
    .filter((path) => !swept.includes(path) && (path in set || fields.has(path)))
    .map((path) => {
      const value = nameOf(set[path] ?? fields.get(path)?.initial ?? '');
      return path === 'dtype' ? value : `${always.includes(path) ? path : titleOf(fields, path)} ${value}`;
    });
  return [kindName(kind), ...settings].join(', ');
}

/** Describe the missing cells of an exported sweep; empty if none is missing. @param {Record<string, number>} counts */
export function missingText(counts) {
  const all = Object.values(counts).reduce((a, b) => a + b, 0);
  const { done = 0, failed = 0 } = counts;
  const open = all - done - failed;
  const parts = [...(open > 0 ? [`${open} not computed`] : []), ...(failed > 0 ? [`${failed} failed`] : [])];
  return parts.length > 0 ? `${done} of ${all} runs; ${parts.join(', ')}.` : '';
}

/** Format the number of a cell of a sweep. @param {SweepValues} values @param {number} row @param {number} column */
export function numberText(values, row, column) {
  const status = values.status[row][column];
  const reason = status === 'failed' ? values.reasons[values.ids[row][column]] : undefined;
  return formatValue(
    values.values[row][column],
    values.log10[row][column],
    reason ? `failed, ${reason}` : (REASONS[status] ?? status),
  );
}

/** Describe a cell of a sweep for screen readers. @param {Map<string, Field>} fields @param {SweepChoice} sweep @param {SweepValues} values @param {number} row @param {number} column */
export function cellText(fields, sweep, values, row, column) {
  const places = [
    `${titleOf(fields, sweep.x.path)} ${sweep.x.values[column]}`,
    ...(sweep.y ? [`${titleOf(fields, sweep.y.path)} ${sweep.y.values[row]}`] : []),
  ];
  return `${places.join(', ')}: ${numberText(values, row, column)}`;
}

/** List the rows of a sweep's figure from top to bottom; y values increase upwards. @param {SweepValues} values */
export function rowsFromTop(values) {
  return inclusiveRange(0, values.ids.length - 1).reverse();
}

/** Build the head of the table's first column. @param {Map<string, Field>} fields @param {SweepChoice} sweep */
export function cornerText(fields, sweep) {
  return sweep.y
    ? `${titleOf(fields, sweep.y.path)} ↑ ${titleOf(fields, sweep.x.path)} →`
    : titleOf(fields, sweep.x.path);
}

/** Export one line per cell: settings, number, log10 if it has one, and status. @param {SweepChoice} sweep @param {SweepValues} values @param {string} separator */
export function toDelimitedSweep(sweep, values, separator) {
  const hasLogs = values.metric.scale === 'log';
  const number = `${values.metric.key} ${values.reduce}`;
  const head = [
    sweep.x.path,
    ...(sweep.y ? [sweep.y.path] : []),
    number,
    ...(hasLogs ? [`log10 ${number}`] : []),
    'status',
    'run',
  ];
  const rows = values.ids.flatMap((ids, row) =>
    ids.map((id, column) => [
      sweep.x.values[column],
      ...(sweep.y ? [sweep.y.values[row]] : []),
      values.values[row][column] ?? '',
      ...(hasLogs ? [values.log10[row][column] ?? ''] : []),
      values.status[row][column],
      id,
    ]),
  );
  return [head, ...rows].map((cells) => `${cells.join(separator)}\n`).join('');
}

/** Build the table in the figure's order, with texts and numbers. @param {SweepChoice} sweep @param {SweepValues} values */
export function toSweepNumbers(sweep, values) {
  const head = sweep.x.values.map(String);
  const rows = rowsFromTop(values).map((row) => [
    { text: sweep.y ? String(sweep.y.values[row]) : '', value: null },
    ...head.map((_, column) => ({ text: numberText(values, row, column), value: values.values[row][column] })),
  ]);
  return { head, rows };
}

/** Return the title of a field. @param {Map<string, Field>} fields @param {string} path */
function titleOf(fields, path) {
  return fields.get(path)?.title ?? path;
}
