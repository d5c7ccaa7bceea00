/** What the picture shows now: columns of every place, at the step of the cursor, and the colours of the theme. */

import { choose, shownOf, slotAt } from '../data/drawing.js';
import { methodOf, modelOf } from '../data/record.js';
import { shownStep, toPlaces } from '../figures/places.js';
import { toRunStyles } from '../lines/dress.js';
import * as state from '../state/signals.js';
import { connections, settingOf } from '../state/view/spec.js';
import { KEYS, toReading } from './geometry/reading.js';

/** @typedef {import('../../types').Figure} Figure @typedef {import('../../types').Templates} Templates @typedef {import('../data/drawing.js').Place} Place */

export const KEY = 'picture';
const USUAL_STREAMS = 4;
/** What of a panel says that it shows a step of training. */
const FOLLOWER = /** @type {any} */ ({ key: KEY, follows_step: true });

/** The columns that each run is drawn from, in the form in which figures say it. @param {Templates} templates @returns {Figure} */
function toTemplate({ rules }) {
  const data = state.slots.value.flatMap((_, run) => KEYS.map((key) => ({ meta: { run, key, fill: {} } })));
  return { data, layout: { meta: { rules } } };
}

/**
 * @param {Templates} templates
 * @param {Place[]} drawn what is drawn now, of the same step; a place that has shown nothing yet is not behind
 * @returns {ReturnType<typeof choose> & {step: number | null}}
 */
export function chooseShown(templates, drawn) {
  const template = toTemplate(templates);
  const step = shownStep(FOLLOWER, template);
  const slots = state.slots.value;
  const shown = step === null ? slots : slots.map((slot) => slotAt(slot, step, template));
  const held = /** @type {any[]} */ (drawn.map((place) => (place.columns.layers.size > 0 ? place : undefined)));
  return { ...choose(template, shown, held), step };
}

/** The step that is shown, in the words of a title; empty where no run trains. @param {Templates} templates */
export function placesOf(templates) {
  return toPlaces(FOLLOWER, /** @type {any} */ ({ figure: toTemplate(templates) }));
}

/** Whether no run is here yet, and some are to come. */
export function isAwaited() {
  return state.slots.peek().length === 0 && ['loading', 'checking', 'running'].includes(state.phase.peek());
}

/** Streams of each run of the view, as its settings say it; before those are known, as most runs have them. */
export function guessStreams() {
  const { value: view } = state.view;
  const field = state.fields.value.get('connection.streams');
  return view.runs.map((choice) => {
    if (!connections[choice.kind]?.has_streams) return 1;
    return field ? Number(settingOf(view, choice, field)) : USUAL_STREAMS;
  });
}

/** @param {Place} place @param {number | null} step @param {number} [streams] how many there will be, until the run says it @returns {import('./geometry/picture.js').Shown} */
export function toShown({ columns, label }, step, streams) {
  const isStep = step !== null && columns.trained > 0;
  return {
    label,
    name: nameWhole(label, columns),
    streams,
    reading: toReading(columns),
    gain: isStep ? null : gainOf(columns),
    end: columns.end?.status ?? null,
  };
}

/** A label with the whole name of a model in place of the shortened one. @param {string} label @param {import('../../types').Columns} columns */
function nameWhole(label, columns) {
  const model = modelOf(columns);
  return model && label.includes('…') ? `${label.split(' ')[0]} ${model}` : label;
}

/** How many times larger at most a signal that all streams share comes out of mixing alone, log10; null of one stream, which nothing mixes. @param {import('../../types').Columns} columns */
function gainOf(columns) {
  if ((columns.start?.streams ?? 1) < 2) return null;
  const logs = /** @type {Float64Array | undefined} */ (columns.log10.get('composite_gain_fwd'));
  const known = logs?.filter((log10) => !Number.isNaN(log10)) ?? [];
  return known.length > 0 ? Math.max(...known) : null;
}

/** Colours of runs and theme, from the templates that figures are drawn from. @param {Templates} templates @returns {import('./geometry/shapes.js').Palette} */
export function toPalette({ panels }) {
  const { layout } = panels[0].figure;
  const { paper_bgcolor: card, font, xaxis, meta } = layout;
  return {
    ...Object.fromEntries(toRunStyles(state.slots.value.map(methodShown), meta.theme).map(toColor)),
    card,
    grid: xaxis.gridcolor,
    ink: meta.ink,
    muted: meta.muted,
    font: font.family,
  };
}

/** The method of the run that a place shows. @param {import('../state/signals.js').Slot} slot */
const methodShown = (slot) => methodOf(shownOf(slot, (columns) => columns.start !== null).columns);

/** A run that has not begun has the colour of nothing yet: it draws nothing. @param {import('../../types').RunStyle | null} style @param {number} run */
const toColor = (style, run) => [run, style?.color ?? 'transparent'];
