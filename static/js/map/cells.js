/** A map as what is drawn, listed and said of it. No browser here. */

import { lettersIn } from '../data/ink.js';
import { formatValue, range } from '../data/numbers.js';
import { kindName, nameOf } from '../state/view/spec.js';

/**
 * @typedef {import('../../types').Field} Field
 * @typedef {import('../../types').Figure} Figure
 * @typedef {import('../../types').MapChoice} MapChoice
 * @typedef {import('../../types').SweepValues} SweepValues
 */

const ROW_PX = { wide: 46, narrow: 36, most: 72 };
const ROW_SHARE = 0.055; // of the width: cells keep their form on a wide screen
const NARROW_PX = 480;
const LETTER_PX = 7;
const LETTERS_PX = { least: 9, most: 12 }; // of a number in its cell
const CROSS = '×';
const BLANK = ' '; // Plotly takes the empty label of a cell away, and does not draw the number that comes after it
/** Why a cell has no number, where the state alone does not say it. */
const REASONS = /** @type {Record<string, string>} */ ({
  missing: 'not computed',
  held: 'not started',
  gone: 'deleted',
  absent: 'no such metric',
  nan: 'not a number',
  unknown: 'unknown',
});

/** How a map is read, for everyone; the formula is the metric's own. */
export const READING =
  'Each cell is one run. All cells have the same size, whatever the steps between values. For a metric that is a factor, 1 is the ' +
  'middle of the colour scale. A grey cell with a word or a cross has no number: the table says why.';

/** The figure at a width: its title stands above it, and numbers are as large as their cells have room for, or not there. @param {Figure} figure @param {number} width in pixels */
export function fitMap({ data, layout }, width) {
  const [, cells] = data;
  const rows = cells.z.length;
  const margin = { ...layout.margin, t: 8 };
  const room = (width - margin.l - margin.r) / cells.z[0].length;
  const row = width < NARROW_PX ? ROW_PX.narrow : Math.min(ROW_PX.most, Math.max(ROW_PX.wide, ROW_SHARE * width));
  const standing = LETTER_PX * (layout.yaxis.title?.text ?? '').length; // the title of the axis, written upwards
  const height = Math.round(margin.t + margin.b + Math.max(2 * row, rows * row, standing));
  const fitted = data.map((trace) => ({
    ...(trace.type === 'scatter' ? fitText(trace, cells.z.flat(), room) : trace),
    hoverinfo: 'skip',
  }));
  return { figure: { data: fitted, layout: { ...layout, margin, title: undefined } }, height };
}

/** All texts, or in small cells a cross where there is no number: its grey is near to that of a gain of 1. @param {import('../../types').Trace} trace @param {(number | null)[]} places on the colours @param {number} room in pixels */
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

/** `Depth × Streams`. @param {Map<string, Field>} fields @param {MapChoice} map */
export function mapAxes(fields, map) {
  return [map.x, map.y].flatMap((axis) => (axis ? [titleOf(fields, axis.path)] : [])).join(' × ');
}

/** What the runs of a map share: its connection, size, seed and type, and whatever is not the default. @param {Map<string, Field>} fields @param {import('../../types').View} view @param {MapChoice} map */
export function mapSettings(fields, view, map) {
  const { kind, own } = view.runs[map.run];
  const set = { ...view.base, ...own };
  const always = ['depth', 'width', 'seed', 'dtype'];
  const others = Object.keys(set)
    .filter((path) => !always.includes(path) && path !== 'input.text')
    .sort();
  const swept = [map.x.path, map.y?.path];
  const settings = [...always, ...others]
    .filter((path) => !swept.includes(path) && (path in set || fields.has(path)))
    .map((path) => {
      const value = nameOf(set[path] ?? fields.get(path)?.initial ?? '');
      return path === 'dtype' ? value : `${always.includes(path) ? path : titleOf(fields, path)} ${value}`;
    });
  return [kindName(kind), ...settings].join(', ');
}

/** What is not there of a map that is taken along; empty where all is. @param {Record<string, number>} counts */
export function missingText(counts) {
  const all = Object.values(counts).reduce((a, b) => a + b, 0);
  const { done = 0, failed = 0 } = counts;
  const open = all - done - failed;
  const parts = [...(open > 0 ? [`${open} not computed`] : []), ...(failed > 0 ? [`${failed} failed`] : [])];
  return parts.length > 0 ? `${done} of ${all} runs; ${parts.join(', ')}.` : '';
}

/** @param {SweepValues} values @param {number} row @param {number} column */
export function numberText(values, row, column) {
  const status = values.status[row][column];
  const reason = status === 'failed' ? values.reasons[values.ids[row][column]] : undefined;
  return formatValue(
    values.values[row][column],
    values.log10[row][column],
    reason ? `failed, ${reason}` : (REASONS[status] ?? status),
  );
}

/** What a cell says to those who do not see it. @param {Map<string, Field>} fields @param {MapChoice} map @param {SweepValues} values @param {number} row @param {number} column */
export function cellText(fields, map, values, row, column) {
  const places = [
    `${titleOf(fields, map.x.path)} ${map.x.values[column]}`,
    ...(map.y ? [`${titleOf(fields, map.y.path)} ${map.y.values[row]}`] : []),
  ];
  return `${places.join(', ')}: ${numberText(values, row, column)}`;
}

/** Rows as people read them, the figure's upper one first: values of y go upwards. @param {SweepValues} values */
export function rowsFromTop(values) {
  return range(0, values.ids.length - 1).reverse();
}

/** What stands over the first column of the table. @param {Map<string, Field>} fields @param {MapChoice} map */
export function cornerText(fields, map) {
  return map.y ? `${titleOf(fields, map.y.path)} ↑ ${titleOf(fields, map.x.path)} →` : titleOf(fields, map.x.path);
}

/** One line a cell, for a spreadsheet: settings, number, its log10 where it has one, and why there is none. @param {MapChoice} map @param {SweepValues} values @param {string} separator */
export function toDelimitedMap(map, values, separator) {
  const hasLogs = values.metric.scale === 'log';
  const number = `${values.metric.key} ${values.reduce}`;
  const head = [
    map.x.path,
    ...(map.y ? [map.y.path] : []),
    number,
    ...(hasLogs ? [`log10 ${number}`] : []),
    'status',
    'run',
  ];
  const rows = values.ids.flatMap((ids, row) =>
    ids.map((id, column) => [
      map.x.values[column],
      ...(map.y ? [map.y.values[row]] : []),
      values.values[row][column] ?? '',
      ...(hasLogs ? [values.log10[row][column] ?? ''] : []),
      values.status[row][column],
      id,
    ]),
  );
  return [head, ...rows].map((cells) => `${cells.join(separator)}\n`).join('');
}

/** Rows of the table in the figure's order, as people read them and as they are. @param {MapChoice} map @param {SweepValues} values */
export function toMapNumbers(map, values) {
  const head = map.x.values.map(String);
  const rows = rowsFromTop(values).map((row) => [
    { text: map.y ? String(map.y.values[row]) : '', value: null },
    ...head.map((_, column) => ({ text: numberText(values, row, column), value: values.values[row][column] })),
  ]);
  return { head, rows };
}

/** @param {Map<string, Field>} fields @param {string} path */
function titleOf(fields, path) {
  return fields.get(path)?.title ?? path;
}
