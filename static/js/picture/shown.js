/** State of the picture: columns of every run at the cursor's step, and the colours of the theme. */

import { computed, signal } from '@preact/signals';
import { methodOf, specOf } from '../data/record.js';
import { chooseDrawn, shownOf, slotAtStep } from '../figures/drawing.js';
import { shownStep, toPlaces } from '../plots/places.js';
import { updateAddress } from '../state/actions.js';
import { recallColumnsFor } from '../state/records.js';
import * as state from '../state/signals.js';
import { connections, fromSpecs, isUnconstrained, settingOf, toSpecs } from '../state/spec.js';
import { magnifiedOf, toOrder } from './picture.js';
import { MIXING, SIZES } from './reading.js';
import { compareUnedited, toColors, toShown } from './run.js';
import { gainRangeOf } from './seeds.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('../../types').Figure} Figure @typedef {import('../../types').Templates} Templates @typedef {import('../figures/drawing.js').Place} Place @typedef {import('./picture.js').Shown} Shown */

export const KEY = 'picture';
const USUAL_STREAMS = 4;
/** Stands for a panel that follows the training step. */
const FOLLOWER = /** @type {any} */ ({ key: KEY, follows_step: true });

/** Whether a run of the view trains: its signal grows so much that ribbons on a linear scale would overlap. */
const isTrained = computed(() => state.specs.value.some((spec) => spec.train?.steps > 0));

/** Whether widths are logarithmic: part of the view, like the views of cards; default: for trained runs. */
export const isLog = computed(() => {
  const chosen = state.view.value.cards?.[KEY];
  return chosen === undefined ? isTrained.value : chosen === 'log';
});

/** Draw linear or logarithmic widths in the picture. The view keeps the choice if it is not the default, which is logarithmic for trained runs. @param {boolean} isOn */
export function setLog(isOn) {
  state.setCard(KEY, isOn === isTrained.value ? undefined : isOn ? 'log' : 'linear');
  updateAddress();
}

/** Whether a drawn ribbon is so wide that it fades. */
export const isFading = signal(false);

/** Whether mixing lines are drawn. */
export const isMixed = signal(true);

/** Whether a drawn run has several seeds, of which the first is drawn. */
export const hasSeeds = signal(false);

/** Whether the magnified layer is open below the strips; on wide screens it is next to them. */
export const isOpen = signal(false);

/** How the matrix of the magnified layer was opened for editing; null while it is closed. With `keys` it takes the focus. */
export const matrixOpened = signal(/** @type {'pointer' | 'keys' | null} */ (null));

/** Open the matrix of the magnified layer for editing. @param {'pointer' | 'keys'} by */
export function openMatrix(by) {
  isOpen.value = true;
  matrixOpened.value = by;
}

/** The run chosen to be magnified. */
export const chosenRun = signal(/** @type {number | null} */ (null));

/** The connection to magnify until a run is chosen; null for the default. */
export const magnifiedKind = signal(/** @type {string | null} */ (null));

/** Magnify the first run of a connection until a run is chosen. @param {string | null} kind null for the default */
export function magnifyKind(kind) {
  if (kind === magnifiedKind.peek()) return;
  magnifiedKind.value = kind;
  chosenRun.value = null;
}

/** Magnify one layer of a run. @param {number} run */
export function magnifyRun(run) {
  chosenRun.value = run;
}

/** Return the magnified run: the chosen one if it is drawn, else the default. @param {Shown[]} runs */
export function magnifiedRun(runs) {
  const { value: chosen } = chosenRun;
  return chosen !== null && runs[chosen]?.reading ? chosen : magnifiedOf(runs, magnifiedKind.value);
}

/** Magnify the next run below. @param {Shown[]} runs */
export function magnifyNext(runs) {
  const order = toOrder(runs).filter((run) => runs[run].reading);
  const now = magnifiedRun(runs);
  if (now !== null && order.length > 0) magnifyRun(order[(order.indexOf(now) + 1) % order.length]);
}

/** Build a template that names columns of each run, as `chooseDrawn` expects. @param {Templates} templates @param {string[]} keys @returns {Figure} */
function toTemplate({ rules }, keys) {
  const data = state.slots.value.flatMap((_, run) => keys.map((key) => ({ meta: { run, key, fill: {} } })));
  return { data, layout: { meta: { rules } } };
}

/**
 * Columns of the picture: sizes, and mixing, which can be derived during a drag.
 * @typedef {{step: number | null, sizes: ReturnType<typeof chooseDrawn>, mixing: ReturnType<typeof chooseDrawn>}} Chosen
 */

/** Choose the columns that the picture draws. @param {Templates} templates @param {Chosen | null} drawn currently drawn columns @returns {Chosen} */
export function chooseShown(templates, drawn) {
  const step = shownStep(FOLLOWER, toTemplate(templates, SIZES));
  const [sizes, mixing] = /** @type {const} */ (['sizes', 'mixing']).map((part) => {
    const template = toTemplate(templates, part === 'sizes' ? SIZES : MIXING);
    const slots = state.slots.value;
    const shown = step === null ? slots : slots.map((slot) => slotAtStep(slot, step, template));
    const drawnPlaces = drawn?.step === step ? drawn[part].places : [];
    // Do not keep runs that have drawn nothing.
    return chooseDrawn(
      template,
      shown,
      /** @type {any[]} */ (drawnPlaces.map((place) => (hasAnyLayer(place) ? place : undefined))),
    );
  });
  return { step, sizes, mixing };
}

/** Return whether any layer has data. @param {Place} place */
const hasAnyLayer = ({ columns }) => columns.layers.size > 0;

/** Build the runs as the picture draws them. @param {Chosen} chosen @returns {Shown[]} */
export function toRuns({ step, sizes, mixing }) {
  const guesses = guessStreams();
  return sizes.places.map((place, run) => {
    const mixed = mixing.places[run].columns;
    const shown = toShown(place, step, { streams: guesses[run], mixed });
    const range = shown.gain === null ? null : gainRangeOf(mixed);
    const unedited = shown.gain === null ? null : compareUnedited(mixed, recallUnedited(mixed));
    const name = state.tooltipOf(run, place.label) ?? shown.name;
    return {
      ...shown,
      name,
      isUnconstrained: isUnconstrained(shown.kind ?? null),
      range,
      unedited,
      isBehind: sizes.isStale,
    };
  });
}

/** Recall an edited run without its edits; null if the page does not know it, or while a slider moves. @param {Columns} columns */
function recallUnedited(columns) {
  const { edits = [], ...unedited } = specOf(columns) ?? {};
  if (edits.length === 0 || state.isMoving.peek()) return null;
  const [wanted] = toSpecs(state.fields.value, fromSpecs(state.fields.value, [unedited]));
  const known = recallColumnsFor(wanted);
  return known && (known.derived ?? known.columns);
}

/** Describe the shown step; empty without training. @param {Templates} templates */
export function placesOf(templates) {
  return toPlaces(FOLLOWER, /** @type {any} */ ({ figure: toTemplate(templates, SIZES) }));
}

/** Return whether no runs are shown yet: they are expected, wait for Run, or are refused. */
export const lacksRuns = () => state.slots.peek().length === 0;

/** Return the streams of each run from its settings, or the usual number before the schema is loaded. */
export function guessStreams() {
  const { value: view } = state.view;
  const field = state.fields.value.get('connection.streams');
  return view.runs.map((choice) => {
    const fixed = connections[choice.kind]?.fixed_streams;
    if (fixed) return fixed;
    return field ? Number(settingOf(view, choice, field)) : USUAL_STREAMS;
  });
}

/** Return the colours of runs and theme from the templates. @param {Templates} templates @returns {import('./shapes.js').Palette} */
export function toPalette({ panels }) {
  return toColors(panels[0].figure, state.slots.value.map(methodShown));
}

/** Return the method of the run that a slot shows. @param {import('../state/signals.js').Slot} slot */
const methodShown = (slot) => methodOf(shownOf(slot, (columns) => columns.start !== null).columns);
