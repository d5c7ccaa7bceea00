/** State of the page: signals and values computed from them. Draws nothing and sends no requests. */

import { batch, computed, signal } from '@preact/signals';
import { depthOf, hasSeveralSeeds, isGrowing, modelOf, trainSteps } from '../data/record.js';
import { viewBetween } from '../figures/basis.js';
import { shownOf } from '../figures/drawing.js';
import { boot } from './boot.js';
import { ATLAS, CUTS, EFFECT } from './editlist.js';
import { predictTogether } from './pace.js';
import { describeRefusal, joinOptions } from './refusals.js';
import { defaultView, settingOf, TRACE, toFullLabels, toLabels, toSpecs } from './spec.js';
import { toRequestKey } from './viewtraces.js';

/** @import { Columns, Field, Value, View } from '../../types' */
/**
 * One of the compared runs. `before` lists what its slot showed before, the latest first, a complete run last: it is drawn dimmed until
 * `columns` has data. `requestKey` identifies the request, undefined for a snapshot's run; `id` is empty until the server responds.
 * `derived` holds derived columns, computed without the server: incomplete, but final.
 * @typedef {{id: string, requestKey: string | undefined, label: string, columns: Columns, place: number | null, derived: Columns | null,
 *   before: {id: string, columns: Columns, label: string}[]}} Slot
 */
/**
 * loading: before the first response. checking: the view has changed, and a request is sent. running: frames arrive or are expected.
 * idle: all is shown. unconfirmed: runs too long to start without pressing Run. refused: the server refused the runs. busy: retry later.
 * @typedef {'loading' | 'checking' | 'running' | 'idle' | 'unconfirmed' | 'refused' | 'busy'} Phase
 */

export const fields = signal(/** @type {Map<string, Field>} */ (new Map()));
export const view = signal(defaultView(boot.rules));
export const slots = signal(/** @type {Slot[]} */ ([]));
/** Counts updates of columns, a few per second. */
export const dataTick = signal(0);
export const phase = signal(/** @type {Phase} */ ('loading'));
export const isConnected = signal(true);
/** The last refusal. */
export const problem = signal(/** @type {import('../net/api.js').ApiError | null} */ (null));
/** Sentences for the banner that are not refusals, such as problems of a link. */
export const notices = signal(/** @type {string[]} */ ([]));
export const estimates = signal(/** @type {import('../../types').Estimate[]} */ ([]));
/** Predicted duration and memory of all runs together. */
export const predicted = computed(() => predictTogether(estimates.value, boot.workers ?? 1, boot.short_run_s ?? 0));
/** Whether a figure has drawn data of the latest runs. */
export const hasDrawn = signal(false);
/** Whether a drag is moving and the page shows derived columns. */
export const isMoving = signal(false);
/** Counts the moves that texts follow, a few per second: nobody reads numbers that change in every frame. At rest, texts show the last move. */
export const textTick = signal(0);
/** Whether a slider is dragged. */
export const isDragging = signal(false);
/** Predicted end of short runs, in ms of the page's clock; they are drawn once then, which leaves computing time. */
export const dueAt = signal(0);
/** Seconds from the request to the last frame, null for stored runs. */
export const elapsed_s = signal(/** @type {number | null} */ (null));
export const templates = signal(/** @type {import('../../types').Templates | null} */ (null));
/** The snapshot that is shown, null after any change. */
export const snapshot = signal(/** @type {import('../../types').Snapshot | null} */ (null));
/** The panel to highlight: that of the finding under the pointer. */
export const highlightedPanel = signal(/** @type {string | null} */ (null));
/** The layer under the pointer on any figure, from 0; null if none. */
export const hovered = signal(/** @type {number | null} */ (null));
/** Announcement for screen readers. */
export const announcement = signal('');

/** Names of recorded models by slot, from their start frames; null for a run. */
export const models = signal(/** @type {(string | null)[]} */ ([]));
/** Edits with which recordings ran by slot, from their start frames; none for a run. */
export const recordedEdits = signal(/** @type {import('../../types').Edit[][]} */ ([]));
/** The view at the last change of settings, so that components that show only settings (`base`, `runs`) ignore the cursor. @type {View | null} */
let settled = null;
export const settings = computed(() => {
  const { base, runs } = view.value;
  if (settled?.base !== base || settled.runs !== runs) settled = view.value;
  return settled;
});
/** Last value of `labels`: the same list while equal, so that nothing that shows only labels is rendered as a slider moves. @type {string[]} */
let latestLabels = [];
export const labels = computed(() => {
  const next = toLabels(settings.value, fields.value, boot.rules, models.value, recordedEdits.value);
  if (next.length !== latestLabels.length || next.some((label, run) => label !== latestLabels[run]))
    latestLabels = next;
  return latestLabels;
});
const fullLabels = computed(() =>
  toFullLabels(settings.value, fields.value, boot.rules, models.value, recordedEdits.value),
);

/** Return the full text of a run's label; the label itself if it is of earlier settings. @param {number} run @param {string} label */
const fullLabelOf = (run, label) => (labels.value[run] === label ? fullLabels.value[run] : label);

/** Return a tooltip for a label; null if the label is its full text. @param {number} run @param {string} label */
export function tooltipOf(run, label) {
  const full = fullLabelOf(run, label);
  return full === label ? null : full;
}
export const specs = computed(() => toSpecs(fields.value, settings.value));
/** Request keys of the view's runs. */
export const requestKeys = computed(() =>
  settings.value.runs.map((choice) => toRequestKey(fields.value, settings.value, choice)),
);
/** Whether the slots belong to the view: requested, or with derived columns. */
export const matchesView = computed(
  () =>
    slots.value.length === requestKeys.value.length &&
    slots.value.every((slot, run) => slot.requestKey === requestKeys.value[run]),
);

/** Return whether a slider is being dragged and the page shows columns that follow it. */
export const followsPointer = () => isMoving.peek() && matchesView.peek();

/** Whether the slots are outdated: settings have changed, and the server has not responded yet. */
export const isOutdated = computed(() => {
  const isPending = ['checking', 'unconfirmed', 'refused', 'busy', 'running'].includes(phase.value);
  return isPending && !matchesView.value && slots.value.some(({ requestKey: own }) => own !== undefined);
});

/** Whether the view is blocked: refused or waiting for Run, so that no response replaces what the page shows. */
export const isBlocked = computed(() => phase.value === 'refused' || phase.value === 'unconfirmed');

/** Number of runs that figures draw: those of the view; while it is refused or waits for Run, those that stay on the page. */
export const drawnRuns = computed(() =>
  isBlocked.value && isOutdated.value ? slots.value.length : view.value.runs.length,
);

/** Number of layers in the figures: that of the deepest run with a start frame. */
export const layers = computed(() => {
  dataTick.value;
  const known = slots.value.map((slot) => depthOf(shownOf(slot, (columns) => columns.start !== null).columns));
  return Math.max(1, ...known);
});

/** Whether the view has a recording, which has no spec. */
export const hasTrace = computed(() => settings.value.runs.some((choice) => choice.kind === TRACE));

/** Whether a run whose gains are shown has several seeds. Settings can already be those of other runs. */
export const hasSeeds = computed(() => {
  dataTick.value;
  return slots.value.some((slot) =>
    hasSeveralSeeds(shownOf(slot, ({ layers }) => layers.has('composite_gain_fwd')).columns),
  );
});

/** Whether a shown run trains. */
export const isTraining = computed(() => {
  dataTick.value;
  return slots.value.some((slot) => trainSteps(slot.columns) > 0);
});

/** Whether a run that has no frames yet will train, according to its spec. */
const isTrainingAwaited = computed(() => {
  dataTick.value;
  const hasBegun = slots.value.some(({ columns }) => columns.start !== null);
  return !hasBegun && specs.value.some((spec) => spec.train?.steps > 0);
});

/** Whether a run of the view is edited, or a trace of an edited model is shown. */
const isEdited = computed(() => {
  dataTick.value;
  const isTraceEdited = slots.value.some(({ columns }) => columns.layers.has('effect_state'));
  return isTraceEdited || specs.value.some(({ edits = [] }) => edits.length > 0);
});

/**
 * Return whether a panel has a subject: training if a run trains, the effect of edits if a run is edited, and for others the metric that
 * the first view needs. A link opens a panel without its metric too.
 * @param {import('../../types').Panel} panel
 */
function hasSubject({ key, group, views: [{ needs }] }) {
  if (group === 'training') return isTraining.value || isTrainingAwaited.value;
  if (needs) return isMeasured(needs) || cards.value?.[key] !== undefined;
  return key !== EFFECT || isEdited.value;
}

/** All panels that have a subject. */
export const shownPanels = computed(() => templates.value?.panels.filter(hasSubject) ?? []);

/** Chosen views of cards; stays the same object while other parts of the view change. */
const cards = computed(() => view.value.cards);

/** Return the view that a panel's card shows: the chosen one, default the first. @param {import('../../types').Panel} panel */
export function viewOf(panel) {
  const chosen = cards.value?.[panel.key];
  return panel.views.find((item) => item.key === chosen) ?? viewBetween(panel, chosen) ?? panel.views[0];
}

/** Metrics that views need and a shown run has, joined to a string, so that cards render only on changes. Metrics of the earlier run count until the new one has a layer. */
const measured = computed(() => {
  dataTick.value;
  const needs = new Set(templates.value?.panels.flatMap((panel) => panel.views.map((item) => item.needs)));
  const shown = slots.value.map((slot) => shownOf(slot, (columns) => columns.layers.size > 0).columns);
  return [...needs]
    .filter((key) =>
      shown.some(({ layers, matrices, waits }) => layers.has(key) || matrices.has(key) || waits.has(key)),
    )
    .join();
});

/** Return whether a shown run has a metric that a view needs. @param {string} key */
const isMeasured = (key) => measured.value.split(',').includes(key);

/** List the views that a shown run can fill, and the current one, which a link may have set. @param {import('../../types').Panel} panel */
export function offeredViews(panel) {
  const shown = viewOf(panel).key;
  return panel.views.filter((item) => !item.needs || isMeasured(item.needs) || item.key === shown);
}

/** Cards that are not panels, with their views. @type {Record<string, string[]>} */
const OTHER_CARDS = { picture: ['linear', 'log'], [ATLAS]: Object.keys(CUTS) };

/** Problems of a link that names unknown cards or views; empty until the templates are loaded. */
export const unknownCards = computed(() =>
  Object.entries(view.value.cards ?? {}).flatMap(([panelKey, key]) => {
    if (!templates.value) return [];
    const panel = templates.value.panels.find((item) => item.key === panelKey);
    const keys = OTHER_CARDS[panelKey] ?? panel?.views.map((item) => item.key);
    if (!keys) return [`view.${panelKey}: no such panel`];
    return keys.includes(key) || (panel && viewBetween(panel, key))
      ? []
      : [`view.${panelKey} must be ${joinOptions(keys)}, not ${key}`];
  }),
);

/** Change parts of the view; undefined removes one. @param {Partial<View>} change */
export function changeView(change) {
  const parts = Object.entries({ ...view.value, ...change }).filter(([, part]) => part !== undefined);
  view.value = /** @type {any} */ (Object.fromEntries(parts));
}

/** Dismiss the notices, and drop unknown cards from the view. */
export function forgetNotices() {
  notices.value = [];
  if (unknownCards.value.length > 0) changeView({ cards: undefined });
}

/** Choose what a card shows, by its key in the address; undefined for what it shows without a choice. @param {string} card @param {string | undefined} key */
export function setCard(card, key) {
  const { [card]: _, ...others } = view.value.cards ?? {};
  const chosen = key === undefined ? others : { ...others, [card]: key };
  changeView({ cards: Object.keys(chosen).length > 0 ? chosen : undefined });
}

/** Choose the view of a panel's card. @param {import('../../types').Panel} panel @param {string} key one of its views */
export function setPanelView(panel, key) {
  // A preset may open with another view than the first.
  const isUsual = key === panel.views[0].key && view.value.preset === undefined;
  setCard(panel.key, isUsual ? undefined : key);
}

/** Last value of `interval`: the same object while equal, so that nothing is redrawn as the cursor moves. */
let latest = { first: 0, last: 0 };

/**
 * First and last shown layer, from 0; default all. The choice is clipped to the stack; a choice entirely beyond the stack has no effect
 * until a deeper stack is shown.
 */
export const interval = computed(() => {
  const end = layers.value - 1;
  const { first, last } = view.value.interval ?? { first: 0, last: end };
  const next = first > end ? { first: 0, last: end } : { first, last: Math.min(last, end) };
  if (next.first !== latest.first || next.last !== latest.last) latest = next;
  return latest;
});

/** The interval if it is not all layers, else null. */
export const chosenInterval = computed(() => {
  const { first, last } = interval.value;
  return first > 0 || last < layers.value - 1 ? interval.value : null;
});

/** Change the ends of the interval; an end that passes the other moves it along. @param {{first?: number, last?: number}} change from 0 */
export function setInterval(change) {
  const last = layers.value - 1;
  const clip = (/** @type {number} */ layer) => Math.min(Math.max(layer, 0), last);
  const next = { ...interval.value, ...change };
  const [first, end] = [clip(next.first), clip(next.last)];
  const chosen =
    change.first === undefined ? { first: Math.min(first, end), last: end } : { first, last: Math.max(first, end) };
  changeView({ interval: chosen.first === 0 && chosen.last === last ? undefined : chosen });
}

/** The cursor's layer from 0, within the interval; default a quarter of the layers. */
export const cursor = computed(() => clampToInterval(view.value.cursor ?? Math.floor(layers.value / 4)));

/** Clamp a layer to the interval. @param {number} layer from 0 */
function clampToInterval(layer) {
  const { first, last } = interval.value;
  return Math.min(Math.max(layer, first), last);
}

/** Whether runs are drawn relative to the first; needs two runs. */
export const isDifference = computed(() => view.value.difference === true && view.value.runs.length > 1);

/** Switch whether figures show the difference of two runs. @param {boolean} isOn */
export function setDifference(isOn) {
  changeView({ difference: isOn || undefined });
}

/** Number of training steps in the figures; 0 if no run trains. */
export const steps = computed(() => {
  dataTick.value;
  return Math.max(0, ...slots.value.map((slot) => trainSteps(slot.columns)));
});

/** Whether a recording still grows: the default step is its latest. */
const grows = computed(() => {
  dataTick.value;
  return slots.value.some((slot) => isGrowing(slot.columns));
});

/** Whether all shown training is that of recorded models. */
export const isWatched = computed(() => {
  dataTick.value;
  return slots.value.every(({ columns }) => trainSteps(columns) === 0 || modelOf(columns) !== null);
});

/** The cursor's training step from 0; null for the trained stack, the default. */
export const step = computed(() => {
  const chosen = view.value.step ?? (grows.value ? Infinity : undefined);
  return chosen === undefined || steps.value === 0 ? null : Math.min(chosen, steps.value - 1);
});

/** Return the number of a step: from 1, or the trainers' own number if all recordings agree. @param {number} at from 0 */
export function nameStep(at) {
  const names = new Set(slots.value.map(({ columns }) => (at < columns.trained ? columns.iterations[at] : undefined)));
  names.delete(undefined);
  const [name] = names;
  return isWatched.value && names.size === 1 && name !== undefined ? name : at + 1;
}

/** Set the training step of the cursor; null for the trained stack. @param {number} at from 0; the number of steps or more means the trained stack */
export function setStep(at) {
  changeView({ step: at >= steps.value ? undefined : Math.max(at, 0) });
}

/** Shared empty result, so that controls are not rendered again while there are no errors. @type {Map<string, string>} */
const NO_ERRORS = new Map();

/** Errors of the server for a spec or a list of specs, with the path of the field. */
const refused = computed(() => [
  ...(problem.value?.errors ?? []).map((error) => ({ ...error, field: error.field.replace(/^\d+\./, '') })),
  ...estimates.value.flatMap((estimate) => (estimate.admitted ? [] : estimate.errors)),
]);

/** Sentences about refused values, by path. */
export const fieldErrors = computed(() => {
  const found = new Map(
    refused.value.map((error) => [error.field, describeRefusal(fields.value.get(error.field), error)]),
  );
  return found.size > 0 ? found : NO_ERRORS;
});

/** Set a setting that all runs of the view share. @param {string} path @param {Value} value */
export function setBase(path, value) {
  view.value = withBase(view.value, path, value);
}

/** Return a view with another value of a common setting. @param {View} before @param {string} path @param {Value} value @returns {View} */
export function withBase(before, path, value) {
  const { [path]: _, ...rest } = before.base;
  const isDefault = value === fields.value.get(path)?.initial;
  return { ...before, base: isDefault ? rest : { ...rest, [path]: value } };
}

/** Override a setting for one run; undefined removes the override. @param {number} run @param {string} path @param {Value} [value] */
export function setOwn(run, path, value) {
  view.value = withOwn(view.value, run, path, value);
}

/** Return a view in which a run overrides a setting; undefined removes the override. @param {View} before @param {number} run @param {string} path @param {Value} [value] @returns {View} */
export function withOwn(before, run, path, value) {
  const runs = before.runs.map((choice, index) => {
    if (index !== run) return choice;
    const { [path]: _, ...rest } = choice.own;
    return { ...choice, own: value === undefined ? rest : { ...rest, [path]: value } };
  });
  return { ...before, runs };
}

/** Set the connection of a run. @param {number} run @param {string} kind */
export function setKind(run, kind) {
  const { trace: _, ...chosen } = { ...view.value.runs[run], kind };
  const runs = view.value.runs.with(run, chosen);
  view.value = { ...view.value, runs };
}

/** Add a run with the first connection that the view lacks, else with the last one. */
export function addRun() {
  const used = view.value.runs.map((choice) => choice.kind);
  const kinds = fields.value.get('connection.kind')?.options ?? [];
  const kind = kinds.find((item) => !used.includes(item)) ?? kinds[kinds.length - 1];
  view.value = { ...view.value, runs: [...view.value.runs, { kind, own: {} }] };
}

/** Insert a copy of a run after it. @param {number} run */
export function duplicateRun(run) {
  const { name: _, ...copy } = view.value.runs[run];
  view.value = { ...view.value, runs: view.value.runs.toSpliced(run + 1, 0, { ...copy, own: { ...copy.own } }) };
}

/** Rename a run; an empty name restores the default label. @param {number} run @param {string} name */
export function renameRun(run, name) {
  const { name: _, ...rest } = view.value.runs[run];
  view.value = { ...view.value, runs: view.value.runs.with(run, name ? { ...rest, name } : rest) };
}

/** Remove a run from the view. @param {number} run */
export function removeRun(run) {
  view.value = { ...view.value, runs: view.value.runs.filter((_, index) => index !== run) };
}

/** Set the layer of the cursor. @param {number} layer from 0 */
export function setCursor(layer) {
  view.value = { ...view.value, cursor: clampToInterval(layer) };
}

/** Return the value of a setting that all runs share. @param {Field} field */
export function baseValue(field) {
  return settingOf(view.value, { kind: '', own: {} }, field);
}

/** Whether all runs are recordings, so that nothing is computed. */
export const hasOnlyRecordings = computed(() => settings.value.runs.every((choice) => choice.kind === TRACE));

/** Whether all runs have ended. */
export const isComplete = computed(() => {
  dataTick.value;
  return slots.value.length > 0 && slots.value.every((slot) => slot.columns.end !== null);
});

export { batch };
