/** What the picture shows now: columns of every run, at the step of the cursor, and the colours of the theme. */

import { computed, signal } from '@preact/signals';
import { choose, shownOf, slotAt } from '../data/drawing.js';
import { methodOf } from '../data/record.js';
import { shownStep, toPlaces } from '../figures/places.js';
import { noteView } from '../state/actions.js';
import * as state from '../state/signals.js';
import { connections, isFree, settingOf } from '../state/view/spec.js';
import { magnifiedOf, toOrder } from './geometry/picture.js';
import { MIXING, SIZES } from './geometry/reading.js';
import { toColors, toShown } from './geometry/run.js';
import { rangeOf } from './seeds.js';

/** @typedef {import('../../types').Figure} Figure @typedef {import('../../types').Templates} Templates @typedef {import('../data/drawing.js').Place} Place @typedef {import('./geometry/picture.js').Shown} Shown */

export const KEY = 'picture';
const USUAL_STREAMS = 4;
/** What of a panel says that it shows a step of training. */
const FOLLOWER = /** @type {any} */ ({ key: KEY, follows_step: true });

/** Whether a run of the view trains: its signal grows so much that ribbons to a linear scale would cover each other. */
const isTrained = computed(() => state.specs.value.some((spec) => spec.train?.steps > 0));

/** Whether widths are logarithmic: part of the view, as the choices of other cards are; until it is chosen, those of trained runs are. */
export const isLog = computed(() => {
  const chosen = state.view.value.cards?.[KEY];
  return chosen === undefined ? isTrained.value : chosen === 'log';
});

/** @param {boolean} isOn */
export function setLog(isOn) {
  const { cards, ...rest } = state.view.value;
  const { [KEY]: _, ...others } = cards ?? {};
  const chosen = isOn === isTrained.value ? others : { ...others, [KEY]: isOn ? 'log' : 'linear' };
  state.view.value = Object.keys(chosen).length > 0 ? { ...rest, cards: chosen } : rest;
  noteView();
}

/** Whether a ribbon that is drawn now is so wide that it fades. */
export const isFading = signal(false);

/** Whether lines of mixing are drawn. */
export const isMixed = signal(true);

/** Whether the magnified layer is shown where it has no room next to the strips. */
export const isOpen = signal(false);

/** The run that someone chose to magnify. */
export const chosenRun = signal(/** @type {number | null} */ (null));

/** The kind of connection that is magnified until someone chooses a run; null where the picture decides. */
export const magnifiedKind = signal(/** @type {string | null} */ (null));

/** Magnify the first run of a kind until someone chooses another. @param {string | null} kind null: as usual */
export function magnifyKind(kind) {
  if (kind === magnifiedKind.peek()) return;
  magnifiedKind.value = kind;
  chosenRun.value = null;
}

/** @param {number} run */
export function magnify(run) {
  chosenRun.value = run;
}

/** The run that is magnified: the chosen one where it is there. @param {Shown[]} runs */
export function magnifiedRun(runs) {
  const { value: chosen } = chosenRun;
  return chosen !== null && runs[chosen]?.reading ? chosen : magnifiedOf(runs, magnifiedKind.value);
}

/** Magnify the next run, from top to bottom. @param {Shown[]} runs */
export function magnifyNext(runs) {
  const order = toOrder(runs).filter((run) => runs[run].reading);
  const now = magnifiedRun(runs);
  if (now !== null && order.length > 0) magnify(order[(order.indexOf(now) + 1) % order.length]);
}

/** Columns of each run, in the form in which figures name them. @param {Templates} templates @param {string[]} keys @returns {Figure} */
function toTemplate({ rules }, keys) {
  const data = state.slots.value.flatMap((_, run) => keys.map((key) => ({ meta: { run, key, fill: {} } })));
  return { data, layout: { meta: { rules } } };
}

/**
 * What the picture is drawn from: sizes, and mixing, which is known earlier while something is dragged.
 * @typedef {{step: number | null, sizes: ReturnType<typeof choose>, mixing: ReturnType<typeof choose>}} Chosen
 */

/** @param {Templates} templates @param {Chosen | null} drawn what is drawn now @returns {Chosen} */
export function chooseShown(templates, drawn) {
  const step = shownStep(FOLLOWER, toTemplate(templates, SIZES));
  const [sizes, mixing] = /** @type {const} */ (['sizes', 'mixing']).map((part) => {
    const template = toTemplate(templates, part === 'sizes' ? SIZES : MIXING);
    const slots = state.slots.value;
    const shown = step === null ? slots : slots.map((slot) => slotAt(slot, step, template));
    const drawnPlaces = drawn?.step === step ? drawn[part].places : [];
    // A run that has shown nothing yet has nothing to hold.
    return choose(template, shown, /** @type {any[]} */ (drawnPlaces.map((place) => (hasAny(place) ? place : undefined))));
  });
  return { step, sizes, mixing };
}

/** @param {Place} place */
const hasAny = ({ columns }) => columns.layers.size > 0;

/** The runs as the picture draws them. @param {Chosen} chosen @returns {Shown[]} */
export function toRuns({ step, sizes, mixing }) {
  const guesses = guessStreams();
  return sizes.places.map((place, run) => {
    const mixed = mixing.places[run].columns;
    const shown = toShown(place, step, { streams: guesses[run], mixed });
    const range = shown.gain === null ? null : rangeOf(mixed);
    return { ...shown, isFree: isFree(shown.kind ?? null), range, isBehind: sizes.isStale };
  });
}

/** The step that is shown, in the words of a title; empty where no run trains. @param {Templates} templates */
export function placesOf(templates) {
  return toPlaces(FOLLOWER, /** @type {any} */ ({ figure: toTemplate(templates, SIZES) }));
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
