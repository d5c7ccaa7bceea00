/** The choices of a sweep: fields, values, run. No browser here. */

import { joinOptions } from './refusals.js';
import { appliesTo, KIND, TRACE, toSpec, writtenStops } from './spec.js';

/** @import { Field, SweepChoice, View, ViewRules } from '../../types' */

export const REDUCTIONS = /** @type {Record<string, string>} */ ({
  max: 'largest',
  min: 'smallest',
  median: 'median',
  first: 'first',
  last: 'last',
});
const FULL = 1e6; // a field with a larger range, such as the seed, has no natural scale

/** Return the initial choices: depth by streams for HC, or for the last run that has a spec. @param {Map<string, Field>} fields @param {View} view @param {ViewRules} rules @returns {SweepChoice} */
export function defaultSweep(fields, view, rules) {
  const hc = view.runs.findIndex((choice) => choice.kind === 'hc');
  const run = hc < 0 ? view.runs.findLastIndex((choice) => choice.kind !== TRACE) : hc;
  const paths = ['depth', 'connection.streams'].filter((path) =>
    sweepableFields(fields, view, run).some((field) => field.path === path),
  );
  const [x, y] = paths.map((path) => toAxis(fields, path));
  return { run, x, ...(y ? { y } : {}), ...rules.map };
}

/** Create an axis with default values for a field. @param {Map<string, Field>} fields @param {string} path */
export function toAxis(fields, path) {
  const field = fields.get(path);
  return { path, values: field ? chooseValues(field) : [] };
}

/** List the fields that a sweep of a run can vary: numbers that apply to it. @param {Map<string, Field>} fields @param {View} view @param {number} run */
export function sweepableFields(fields, view, run) {
  return [...fields.values()].filter((field) => {
    const isNumber = field.type === 'integer' || field.type === 'number';
    return isNumber && field.path !== KIND && field.max !== field.min && appliesTo(fields, view, view.runs[run], field);
  });
}

/**
 * Choose a few values over the range of a field, denser near its lower end: octaves around the default if the range starts above zero,
 * else zero and 1, 2, 5.
 * @param {Field} field
 * @returns {number[]}
 */
export function chooseValues(field) {
  const initial = Number(field.initial);
  const min = field.min ?? 0;
  const max = field.max ?? Math.max(1, 8 * initial);
  if (max - min > FULL) return [0, 1, 2, 3, 4, 5, 6, 7].map((index) => min + index);
  if (min > 0) {
    const first = Math.max(min, 2 ** Math.floor(Math.log2(initial / 8)));
    return withoutDuplicates(upTo(Math.min(max, 4 * initial), (index) => first * 2 ** index));
  }
  const step = field.step ?? Math.max(max / 1000, 1e-6);
  const places = upTo(max, (index) => step * [1, 2, 5][index % 3] * 10 ** Math.floor(index / 3));
  return withoutDuplicates([min, ...places, ...(max <= 1 || places[places.length - 1] > max / 2 ? [max] : [])]);
}

/** List the values at which an animated slider stops: few enough to be seen one by one, each a multiple of the field's step. @param {Field} field */
export function playStops(field) {
  if (writtenStops[field.path]) return writtenStops[field.path];
  const { min, step } = { min: field.min ?? 0, step: field.step ?? 1 };
  const max = min > 0 ? Math.min(field.max ?? 1, 4 * Number(field.initial)) : (field.max ?? 1);
  const mantissas = min > 0 ? [1, 1.5] : [1, 1.5, 2, 3, 5, 7];
  const base = min > 0 ? 2 : 10;
  const places = upTo(
    max,
    (index) => Math.max(min, step) * mantissas[index % mantissas.length] * base ** Math.floor(index / mantissas.length),
  );
  const stops = places.map((position) => Number((Math.round(position / step) * step).toPrecision(6)));
  return withoutDuplicates([min, ...stops, max]);
}

/** List the values of an increasing function of 0, 1, 2, ... up to a limit. @param {number} last @param {(index: number) => number} at increasing */
function upTo(last, at) {
  const values = [];
  for (let index = 0; at(index) <= last * (1 + 1e-9); index++) values.push(Number(at(index).toPrecision(6)));
  return values;
}

/** Return values without duplicates, in their order. @param {number[]} values */
function withoutDuplicates(values) {
  return [...new Set(values)];
}

/** Parse numbers such as `8, 16, 32`; null if one is invalid. @param {string} text @returns {number[] | null} */
export function parseValues(text) {
  const parts = text.split(/[\s,;]+/).filter(Boolean);
  const values = parts.map(Number);
  return values.length > 0 && values.every(Number.isFinite) ? withoutDuplicates(values) : null;
}

/** Build the body of POST /runs/sweep. @param {Map<string, Field>} fields @param {View} view @param {SweepChoice} sweep */
export function toSweepBody(fields, view, sweep) {
  const spec = toSpec(fields, view, view.runs[sweep.run]);
  const toSweepAxis = (/** @type {{path: string, values: number[]}} */ { path, values }) => ({ field: path, values });
  return { spec, x: toSweepAxis(sweep.x), ...(sweep.y ? { y: toSweepAxis(sweep.y) } : {}) };
}

/** Return the view that shows one cell of a sweep: the cell's values replace the swept settings, those of the run itself or else those that runs share, and the sweep is removed. @param {Map<string, Field>} fields @param {View} view @param {SweepChoice} sweep @param {number} row @param {number} column @returns {View} */
export function toCellView(fields, { sweep: _, ...view }, sweep, row, column) {
  const base = { ...view.base };
  const own = { ...view.runs[sweep.run].own };
  for (const [axis, index] of /** @type {const} */ ([
    [sweep.x, column],
    [sweep.y, row],
  ])) {
    if (!axis) continue;
    const value = axis.values[index];
    if (axis.path in own) own[axis.path] = value;
    else if (value === fields.get(axis.path)?.initial) delete base[axis.path];
    else base[axis.path] = value;
  }
  return { ...view, base, runs: view.runs.with(sweep.run, { ...view.runs[sweep.run], own }) };
}

/** Encode the choices of a sweep as pairs of key and text for the hash of an address. @param {SweepChoice} sweep @param {ViewRules} rules @returns {[string, string][]} */
export function toPairs(sweep, { letters, keys }) {
  const formatAxis = (/** @type {{path: string, values: number[]}} */ { path, values }) => [path, ...values].join(',');
  return [
    [keys.map, letters[sweep.run]],
    [`${keys.map}.x`, formatAxis(sweep.x)],
    ...(sweep.y ? [/** @type {[string, string]} */ ([`${keys.map}.y`, formatAxis(sweep.y)])] : []),
    [keys.metric, sweep.metric],
    [keys.reduce, sweep.reduce],
  ];
}

/**
 * Decode the sweep from the pairs of a hash, or undefined if it has none. Invalid parts are reported in `problems` and dropped.
 * @param {Map<string, string>} pairs
 * @param {Map<string, Field>} fields
 * @param {View} view
 * @param {ViewRules} rules
 * @param {string[]} problems
 * @returns {SweepChoice | undefined}
 */
export function fromPairs(pairs, fields, view, { letters, keys, map: initial }, problems) {
  const letter = pairs.get(keys.map);
  if (letter === undefined) return undefined;
  const run = letters.indexOf(letter);
  const x = toAxisChoice(`${keys.map}.x`, pairs, fields, problems);
  const y = pairs.has(`${keys.map}.y`) ? toAxisChoice(`${keys.map}.y`, pairs, fields, problems) : undefined;
  const hasSpec = letter.length === 1 && view.runs[run] !== undefined && view.runs[run].kind !== TRACE;
  if (!hasSpec) problems.push(`${keys.map} must be the letter of a run with settings, not ${letter}`);
  else if (x && y !== null) {
    const reduce = pairs.get(keys.reduce) ?? initial.reduce;
    if (!(reduce in REDUCTIONS))
      problems.push(`${keys.reduce} must be ${joinOptions(Object.keys(REDUCTIONS))}, not ${reduce}`);
    return {
      run,
      x,
      ...(y ? { y } : {}),
      metric: pairs.get(keys.metric) ?? initial.metric,
      reduce: reduce in REDUCTIONS ? reduce : initial.reduce,
    };
  }
  return undefined;
}

/** Decode an axis of a sweep; report and return null if it is invalid. @param {string} key @param {Map<string, string>} pairs @param {Map<string, Field>} fields @param {string[]} problems */
function toAxisChoice(key, pairs, fields, problems) {
  const text = pairs.get(key) ?? '';
  const [path, ...rest] = text.split(',');
  const values = parseValues(rest.join(','));
  if (fields.has(path) && values) return { path, values };
  problems.push(`${key} must be a setting and its values, separated by commas, not ${text}`);
  return null;
}
