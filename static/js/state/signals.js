/** What the page knows: signals, and what follows from them. Nothing here draws or asks the server. */

import { batch, computed, signal } from '@preact/signals';
import { shownOf } from '../data/drawing.js';
import { depthOf, isGrowing, modelOf, trainSteps } from '../data/record.js';
import { boot } from './boot.js';
import { predictTogether } from './pace.js';
import { describeRefusal, toOneOf } from './view/refusals.js';
import { defaultView, settingOf, TRACE, toLabels, toSpecs } from './view/spec.js';
import { toRequestKey } from './view/traces.js';

/**
 * @typedef {import('../../types').Columns} Columns
 * @typedef {import('../../types').Field} Field
 * @typedef {import('../../types').View} View
 * @typedef {import('../../types').Value} Value
 */
/**
 * One of the compared runs. `before` is what its place showed before, the latest first, a whole run last: drawn, dimmed,
 * until `columns` has more to say. `asked` is what was asked for, undefined for a stored run; `id` is empty until the server has
 * said it. `known` is what is known of the run at once, without the server: columns that are not all, but final.
 * @typedef {{id: string, requestKey: string | undefined, label: string, columns: Columns, place: number | null, known: Columns | null,
 *   before: {id: string, columns: Columns, label: string}[]}} Slot
 */
/**
 * loading: before the first answer. checking: what is shown is no longer the view, and the server is being asked.
 * running: frames come or are waited for. idle: all is shown. asking: too long to start unasked. refused: the server said
 * no. busy: it said later.
 * @typedef {'loading' | 'checking' | 'running' | 'idle' | 'asking' | 'refused' | 'busy'} Phase
 */

export const fields = signal(/** @type {Map<string, Field>} */ (new Map()));
export const view = signal(defaultView(boot.rules));
export const slots = signal(/** @type {Slot[]} */ ([]));
/** Goes up, a few times a second, when columns have grown. */
export const dataTick = signal(0);
export const phase = signal(/** @type {Phase} */ ('loading'));
export const isConnected = signal(true);
/** The last refusal. */
export const problem = signal(/** @type {import('../net/api.js').ApiError | null} */ (null));
/** Sentences for the banner that are not refusals, such as what a link says that this page does not know. */
export const notices = signal(/** @type {string[]} */ ([]));
export const estimates = signal(/** @type {import('../../types').Estimate[]} */ ([]));
/** What they will take together. */
export const predicted = computed(() => predictTogether(estimates.value, boot.workers ?? 1, boot.short_run_s ?? 0));
/** Whether a figure has drawn anything of the runs that were asked for last. */
export const hasMoved = signal(false);
/** Whether a hand moves through what is known at once, and does not rest. */
export const isMoving = signal(false);
/** Whether a hand is on a slider. */
export const isDragging = signal(false);
/** When short runs are predicted to be whole, in ms of the page's clock: they are then drawn once, which leaves them the time. */
export const dueAt = signal(0);
/** Seconds from the request to the last frame, null for runs that were stored. */
export const elapsed_s = signal(/** @type {number | null} */ (null));
export const templates = signal(/** @type {import('../../types').Templates | null} */ (null));
/** The stored view that is shown, null once anything is changed. */
export const snapshot = signal(/** @type {import('../../types').Snapshot | null} */ (null));
/** The panel that is spoken of: by the sentence under the pointer. */
export const pointed = signal(/** @type {string | null} */ (null));
/** The layer under a pointer, from 0, on whichever figure; null where there is none. */
export const hovered = signal(/** @type {number | null} */ (null));
/** Words for screen readers about what has just happened. */
export const spoken = signal('');

/** Names of the models of traces by place, null of a run: what their start frames say. */
export const models = signal(/** @type {(string | null)[]} */ ([]));
/** The view as it was when its settings changed last: what shows settings alone need not follow the cursor. Of it `base` and `runs` are read. @type {View | null} */
let settled = null;
export const settings = computed(() => {
  const { base, runs } = view.value;
  if (settled?.base !== base || settled.runs !== runs) settled = view.value;
  return settled;
});
export const labels = computed(() => toLabels(settings.value, fields.value, boot.rules, models.value));
export const specs = computed(() => toSpecs(fields.value, settings.value));
/** What each place of the view asks for. */
export const requestKeys = computed(() => settings.value.runs.map((choice) => toRequestKey(fields.value, settings.value, choice)));
/** Whether the places are those of the view: of what it asks for, or of what is known of that at once. */
export const isOfView = computed(
  () => slots.value.length === requestKeys.value.length && slots.value.every((slot, run) => slot.requestKey === requestKeys.value[run]),
);

/** Whether what was asked for itself is shown no longer: the settings are others, and the server has not answered yet. */
export const isOutdated = computed(() => {
  const isAsking = ['checking', 'asking', 'refused', 'busy', 'running'].includes(phase.value);
  return isAsking && !isOfView.value && slots.value.some(({ requestKey: own }) => own !== undefined);
});

/** Layers that the figures span: of the runs where they have begun, else of the spec. */
export const layers = computed(() => {
  dataTick.value;
  const known = slots.value.map((slot) => depthOf(shownOf(slot, (columns) => columns.start !== null).columns));
  return Math.max(1, ...known);
});

/** Whether a trace is shown, which has no spec. */
export const hasTrace = computed(() => settings.value.runs.some((choice) => choice.kind === TRACE));

/** Whether a run here trains. */
export const isTraining = computed(() => {
  dataTick.value;
  return slots.value.some((slot) => trainSteps(slot.columns) > 0);
});

/** Whether runs are awaited of which one will train: their specs say so before their first frames. */
const isTrainingAwaited = computed(() => {
  dataTick.value;
  const hasBegun = slots.value.some(({ columns }) => columns.start !== null);
  return !hasBegun && specs.value.some((spec) => spec.train?.steps > 0);
});

/** All panels, but that of training where no run trains. */
export const shownPanels = computed(
  () =>
    templates.value?.panels.filter(
      (panel) => panel.group !== 'training' || isTraining.value || isTrainingAwaited.value,
    ) ?? [],
);

/** The views that were chosen on cards: one and the same while other parts of the view change. */
const cards = computed(() => view.value.cards);

/** What a panel's card shows: the first of its views until one is chosen. @param {import('../../types').Panel} panel */
export function viewOf(panel) {
  const chosen = cards.value?.[panel.key];
  return panel.views.find((item) => item.key === chosen) ?? panel.views[0];
}

/** Metrics that views ask for and a run here has; those of the run before count until the new one has a layer. One word, so that cards follow changes alone. */
const measured = computed(() => {
  dataTick.value;
  const needs = new Set(templates.value?.panels.flatMap((panel) => panel.views.map((item) => item.needs)));
  const shown = slots.value.map((slot) => shownOf(slot, (columns) => columns.layers.size > 0).columns);
  return [...needs].filter((key) => shown.some(({ layers, waits }) => layers.has(key) || waits.has(key))).join();
});

/** The views that a run here can fill, and the one that is shown, as a link may name any. @param {import('../../types').Panel} panel */
export function offeredViews(panel) {
  const known = measured.value.split(',');
  const shown = viewOf(panel).key;
  return panel.views.filter((item) => !item.needs || known.includes(item.needs) || item.key === shown);
}

/** Cards that are no panel, with the views that they have. @type {Record<string, string[]>} */
const OTHER_CARDS = { picture: ['linear', 'log'] };

/** What a link says of cards that this page does not have: only the templates know. */
export const unknownCards = computed(() =>
  Object.entries(view.value.cards ?? {}).flatMap(([panelKey, key]) => {
    if (!templates.value) return [];
    const panel = templates.value.panels.find((item) => item.key === panelKey);
    const keys = OTHER_CARDS[panelKey] ?? panel?.views.map((item) => item.key);
    if (!keys) return [`view.${panelKey}: no such panel`];
    return keys.includes(key) ? [] : [`view.${panelKey} must be ${toOneOf(keys)}, not ${key}`];
  }),
);

/** The notes are read: what they speak of goes with them. */
export function forgetNotices() {
  notices.value = [];
  const { cards: _, ...rest } = view.value;
  if (unknownCards.value.length > 0) view.value = rest;
}

/** @param {import('../../types').Panel} panel @param {string} key one of its views */
export function setCard(panel, key) {
  const { cards, ...rest } = view.value;
  const { [panel.key]: _, ...others } = cards ?? {};
  // A preset may show another view than the first.
  const isUsual = key === panel.views[0].key && view.value.preset === undefined;
  const chosen = isUsual ? others : { ...others, [panel.key]: key };
  view.value = Object.keys(chosen).length > 0 ? { ...rest, cards: chosen } : rest;
}

/** One and the same as long as it says the same, so that nothing is drawn anew as the cursor moves. */
let latest = { first: 0, last: 0 };

/**
 * First and last layer, from 0, that are shown and spoken of: all of them until someone chooses. Of a choice what lies beyond the stack
 * is left out; one that lies there as a whole waits for a deeper stack.
 */
export const interval = computed(() => {
  const end = layers.value - 1;
  const { first, last } = view.value.interval ?? { first: 0, last: end };
  const next = first > end ? { first: 0, last: end } : { first, last: Math.min(last, end) };
  if (next.first !== latest.first || next.last !== latest.last) latest = next;
  return latest;
});

/** The chosen layers where they are not all. */
export const chosenInterval = computed(() => {
  const { first, last } = interval.value;
  return first > 0 || last < layers.value - 1 ? interval.value : null;
});

/** An end that passes the other takes it along. @param {{first?: number, last?: number}} change from 0 */
export function setInterval(change) {
  const last = layers.value - 1;
  const clip = (/** @type {number} */ layer) => Math.min(Math.max(layer, 0), last);
  const next = { ...interval.value, ...change };
  const [first, end] = [clip(next.first), clip(next.last)];
  const chosen =
    change.first === undefined ? { first: Math.min(first, end), last: end } : { first, last: Math.max(first, end) };
  const { interval: _, ...rest } = view.value;
  view.value = chosen.first === 0 && chosen.last === last ? rest : { ...rest, interval: chosen };
}

/** The cursor's layer from 0, within those that are shown; a quarter of the way up until it is moved. */
export const cursor = computed(() => within(view.value.cursor ?? Math.floor(layers.value / 4)));

/** The layer that is shown next to one. @param {number} layer from 0 */
function within(layer) {
  const { first, last } = interval.value;
  return Math.min(Math.max(layer, first), last);
}

/** Whether each run is drawn against the first, which takes two. */
export const isDifference = computed(() => view.value.difference === true && view.value.runs.length > 1);

/** @param {boolean} isOn */
export function setDifference(isOn) {
  const { difference: _, ...rest } = view.value;
  view.value = isOn ? { ...rest, difference: true } : rest;
}

/** Steps of training that the figures span; 0 where no run trains. */
export const steps = computed(() => {
  dataTick.value;
  return Math.max(0, ...slots.value.map((slot) => trainSteps(slot.columns)));
});

/** Whether a trace here still grows: it is shown at its latest step. */
const grows = computed(() => {
  dataTick.value;
  return slots.value.some((slot) => isGrowing(slot.columns));
});

/** Whether all that trains here are models of someone's own, which are watched. */
export const isWatched = computed(() => {
  dataTick.value;
  return slots.value.every(({ columns }) => trainSteps(columns) === 0 || modelOf(columns) !== null);
});

/** The cursor's step of training from 0; null for the trained stack, which is shown until it is moved. */
export const step = computed(() => {
  const chosen = view.value.step ?? (grows.value ? Infinity : undefined);
  return chosen === undefined || steps.value === 0 ? null : Math.min(chosen, steps.value - 1);
});

/** What a step is called: its place from 1, or what the trainers of watched models call it, where they are at one. @param {number} at from 0 */
export function nameStep(at) {
  const names = new Set(slots.value.map(({ columns }) => (at < columns.trained ? columns.iterations[at] : undefined)));
  names.delete(undefined);
  const [name] = names;
  return isWatched.value && names.size === 1 && name !== undefined ? name : at + 1;
}

/** @param {number} at from 0; from the number of steps on it is the trained stack */
export function setStep(at) {
  const { step: _, ...rest } = view.value;
  view.value = at >= steps.value ? rest : { ...rest, step: Math.max(at, 0) };
}

/** One and the same, so that no control is drawn anew where nothing is wrong as before. @type {Map<string, string>} */
const NO_ERRORS = new Map();

/** The server's errors of a spec or of a list of specs, each with the path of its field. */
const refused = computed(() => [
  ...(problem.value?.errors ?? []).map((error) => ({ ...error, field: error.field.replace(/^\d+\./, '') })),
  ...estimates.value.flatMap((estimate) => (estimate.admitted ? [] : estimate.errors)),
]);

/** Why the values of fields were refused, in a sentence each, by path. */
export const fieldErrors = computed(() => {
  const found = new Map(refused.value.map((error) => [error.field, describeRefusal(fields.value.get(error.field), error)]));
  return found.size > 0 ? found : NO_ERRORS;
});

/** Change a common setting. @param {string} path @param {Value} value */
export function setBase(path, value) {
  const { [path]: _, ...rest } = view.value.base;
  const isDefault = value === fields.value.get(path)?.initial;
  view.value = { ...view.value, base: isDefault ? rest : { ...rest, [path]: value } };
}

/** Change a run's own setting; undefined takes the common one again. @param {number} run @param {string} path @param {Value} [value] */
export function setOwn(run, path, value) {
  const runs = view.value.runs.map((choice, index) => {
    if (index !== run) return choice;
    const { [path]: _, ...rest } = choice.own;
    return { ...choice, own: value === undefined ? rest : { ...rest, [path]: value } };
  });
  view.value = { ...view.value, runs };
}

/** @param {number} run @param {string} kind */
export function setKind(run, kind) {
  const { trace: _, ...chosen } = { ...view.value.runs[run], kind };
  const runs = view.value.runs.with(run, chosen);
  view.value = { ...view.value, runs };
}

export function addRun() {
  const used = view.value.runs.map((choice) => choice.kind);
  const kinds = fields.value.get('connection.kind')?.options ?? [];
  const kind = kinds.find((item) => !used.includes(item)) ?? kinds[kinds.length - 1];
  view.value = { ...view.value, runs: [...view.value.runs, { kind, own: {} }] };
}

/** A copy beside it, to change in one thing. @param {number} run */
export function duplicateRun(run) {
  const { name: _, ...copy } = view.value.runs[run];
  view.value = { ...view.value, runs: view.value.runs.toSpliced(run + 1, 0, { ...copy, own: { ...copy.own } }) };
}

/** An empty name takes the run's own words again. @param {number} run @param {string} name */
export function renameRun(run, name) {
  const { name: _, ...rest } = view.value.runs[run];
  view.value = { ...view.value, runs: view.value.runs.with(run, name ? { ...rest, name } : rest) };
}

/** @param {number} run */
export function removeRun(run) {
  view.value = { ...view.value, runs: view.value.runs.filter((_, index) => index !== run) };
}

/** @param {number} layer from 0 */
export function setCursor(layer) {
  view.value = { ...view.value, cursor: within(layer) };
}

/** The common value of a setting. @param {Field} field */
export function baseValue(field) {
  return settingOf(view.value, { kind: '', own: {} }, field);
}

/** Whether all that the view asks for are traces: nothing of it is computed. */
export const isOfTraces = computed(() => settings.value.runs.every((choice) => choice.kind === TRACE));

/** Whether every place shows its own run's end. */
export const isComplete = computed(() => {
  dataTick.value;
  return slots.value.length > 0 && slots.value.every((slot) => slot.columns.end !== null);
});

export { batch };
