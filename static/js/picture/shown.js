/** What the picture shows now: columns of every place, at the step of the cursor, and the colours of the theme. */

import { choose, shownOf, slotAt } from '../data/drawing.js';
import { methodOf } from '../data/record.js';
import { shownStep, toPlaces } from '../figures/places.js';
import * as state from '../state/signals.js';
import { connections, settingOf } from '../state/view/spec.js';
import { KEYS } from './geometry/reading.js';
import { toColors } from './geometry/run.js';

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

/** Colours of runs and theme, from the templates that figures are drawn from. @param {Templates} templates @returns {import('./geometry/shapes.js').Palette} */
export function toPalette({ panels }) {
  return toColors(panels[0].figure, state.slots.value.map(methodShown));
}

/** The method of the run that a place shows. @param {import('../state/signals.js').Slot} slot */
const methodShown = (slot) => methodOf(shownOf(slot, (columns) => columns.start !== null).columns);
