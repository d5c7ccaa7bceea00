/** Sliders of documents without a server: they show columns derived from the document's runs. */

import { createColumns } from '../data/columns.js';
import { formatValue } from '../data/numbers.js';
import { depthOf, specOf } from '../data/record.js';
import { deriveColumns } from '../derived/derive.js';
import { chooseDrawn } from '../figures/drawing.js';
import { toStops } from '../state/spec.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('../../types').Figure} Figure @typedef {import('../../types').DerivationRules} DerivationRules */
/** @typedef {{path: string, title: string, unit: string, stops: number[], value: number}} Slider `value` is the setting of the document's runs */
/** A setting that a slider can change. @typedef {{path: string, title: string, unit: string, min: number, max: number, step: number}} Movable */

const COMPOSITE = 'composite_gain_fwd';

/**
 * Add the sliders to a box that contains elements with the classes `sliders` and `said`.
 * @param {{runs: Columns[], sliders: Slider[], derivation: DerivationRules}} given
 * @param {HTMLElement} box
 * @param {(runs: Columns[] | null) => string} show called once per frame with the derived runs, null for the document's own; returns the text to show
 */
export function addSliders({ runs, sliders, derivation }, box, show) {
  const status = /** @type {HTMLElement} */ (box.querySelector('.said'));
  const places = new Map(sliders.map(({ path, value }) => [path, value]));
  const isInitial = () => sliders.every(({ path, value }) => places.get(path) === value);
  let frame = 0;
  const moveSlider = (/** @type {string} */ path, /** @type {number} */ value) => {
    const before = Number(places.get(path));
    places.set(path, value);
    const known = isInitial() ? null : deriveAll(runs, places, derivation);
    if (known === undefined) {
      places.set(path, before);
      status.textContent = 'The saved data does not cover this value.';
      return before;
    }
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => {
      status.textContent = show(known);
    });
    return value;
  };
  for (const slider of sliders) box.querySelector('.sliders')?.append(toLabel(slider, moveSlider));
}

/** Create the label of a slider in a saved file. @param {Slider} slider @param {(path: string, value: number) => number} moveSlider returns the resulting value */
function toLabel({ path, title, unit, stops, value }, moveSlider) {
  const [label, output, input] = ['label', 'output', 'input'].map((tag) => document.createElement(tag));
  const range = /** @type {HTMLInputElement} */ (input);
  const showValue = (/** @type {number} */ at) => {
    output.textContent = String(at);
    range.value = String(stops.indexOf(at));
    range.setAttribute('aria-valuetext', `${at} ${unit}`.trim());
  };
  Object.assign(range, { type: 'range', min: '0', max: String(stops.length - 1), step: '1' });
  label.append(`${title} `, output, range);
  label.dataset.path = path;
  showValue(value);
  range.oninput = () => showValue(moveSlider(path, stops[Number(range.value)]));
  return label;
}

/** Derive the columns of all runs at the sliders' values; undefined if those of one run cannot be derived. @param {Columns[]} runs @param {Map<string, number>} places @param {DerivationRules} derivation @returns {Columns[] | undefined} */
function deriveAll(runs, places, derivation) {
  const known = runs.flatMap((columns) => deriveColumns(columns, toWanted(columns, places), derivation) ?? []);
  return known.length === runs.length ? known : undefined;
}

/** Return the settings of a run at the sliders' values. @param {Columns} columns @param {Map<string, number>} places @returns {import('../derived/derive.js').Wanted} */
function toWanted(columns, places) {
  const { noise, sinkhorn_iters } = specOf(columns)?.connection ?? {};
  return {
    layers: Math.min(depthOf(columns), places.get('depth') ?? Infinity),
    noise: places.get('connection.noise') ?? noise,
    rounds: places.get('connection.sinkhorn_iters') ?? sinkhorn_iters,
  };
}

/** Create sliders for settings with the same value in all runs that have them; none if nothing can be derived from one of the runs. @param {Movable[]} fields @param {Columns[]} runs @param {DerivationRules} derivation @returns {Slider[]} */
export function toSliders(fields, runs, derivation) {
  if (deriveAll(runs, new Map(), derivation) === undefined) return [];
  const layers = Math.min(...runs.map(depthOf));
  return fields.flatMap(({ path, title, unit, min, max, step }) => {
    const values = new Set(runs.flatMap((columns) => settingOf(columns, path) ?? []));
    if (values.size !== 1) return [];
    const [value] = values;
    const stops = toStops(min, max, step).filter((stop) => path !== 'depth' || stop <= layers);
    return [{ path, title, unit, value, stops: [...new Set([...stops, value])].sort((one, other) => one - other) }];
  });
}

/** Return the value of a setting in the spec of a run. @param {Columns} columns @param {string} path @returns {number | undefined} */
function settingOf(columns, path) {
  return path.split('.').reduce((/** @type {any} */ part, name) => part?.[name], specOf(columns));
}

/** Return whether derived runs are enough to fill a figure. @param {Figure} template @param {Columns[]} runs */
export function canFillFigure(template, runs) {
  const slots = runs.map((derived) => ({
    ...{ id: '', requestKey: undefined, label: '', columns: createColumns(), place: null, derived, before: [] },
  }));
  return chooseDrawn(template, slots, []).results.every((columns, run) => columns === runs[run]);
}

/** Describe the largest gain of each run. @param {Columns[]} runs @param {string[]} labels */
export function describeGains(runs, labels) {
  const gains = runs.map((columns, run) => {
    const logs = /** @type {Float64Array | undefined} */ (columns.log10.get(COMPOSITE));
    const log10 = Math.max(...(logs ?? []).filter(Number.isFinite));
    return `${labels[run]} ${Number.isFinite(log10) ? formatValue(10 ** log10, log10, undefined, 3) : 'not known'}`;
  });
  return `Largest gain forward: ${gains.join(', ')}.`;
}
