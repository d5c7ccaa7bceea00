/** The presets, and the one whose view is shown until the user changes the view. */

import { computed, signal } from '@preact/signals';
import { formatReduced } from '../data/gain.js';
import { reduceColumn } from '../data/reduce.js';
import { hasServer, ROOT } from '../net/sent.js';
import { boot } from './boot.js';
import * as state from './signals.js';
import { fromSpecs, haveSameSpecs } from './spec.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('../../types').Preset} Preset @typedef {import('../../types').View} View */

/** Start and end of the address of a preset's page; static files are all in one folder. */
const [PATH, ENDING] = hasServer ? [`${ROOT}/p/`, ''] : [`${ROOT}/preset-`, '.html'];

/** All presets when loaded; before that the one sent with the page. */
export const presets = signal(boot.preset ? [boot.preset] : /** @type {Preset[]} */ ([]));
export const areAllKnown = signal(false);

if (boot.preset) state.view.value = toFirstView(boot.preset);

/** Find a preset by name. @param {string | undefined} name */
export const findPreset = (name) => presets.value.find((preset) => preset.name === name);

/** Return the address of a preset's page. @param {Preset} preset */
export const pathOf = (preset) => PATH + preset.name + ENDING;

/** Return the name in an address such as `/p/laws`, or `/preset-laws.html` without a server. @param {string} pathname */
export const nameIn = (pathname) =>
  pathname.startsWith(PATH) ? pathname.slice(PATH.length).replace(/\.html$/, '') : undefined;

/** Build the view of a preset. @param {Preset} preset @returns {View} */
export function toView(preset) {
  const specs = preset.specs.map((item) => item.spec);
  const cards = preset.view ? { cards: { [preset.panel]: preset.view } } : {};
  return { ...fromSpecs(state.fields.value, specs), preset: preset.name, ...cards };
}

/** The preset that the view came from, even if changed since. */
export const origin = computed(() => findPreset(state.view.value.preset));

/** Return whether a view has the runs of a preset. @param {View} view @param {Preset} preset @param {string | null} [played] a field that may differ */
export function showsPreset(view, preset, played = null) {
  return haveSameSpecs(state.fields.value, view, toView(preset), played);
}

/** Build the first view of a preset's page, before the schema is loaded. @param {Preset} preset @returns {View} */
function toFirstView(preset) {
  return { base: {}, runs: kindsOf(preset).map((kind) => ({ kind, own: {} })), cursor: null, preset: preset.name };
}

/** List the connections of a preset's runs. @param {Preset} preset @returns {string[]} */
export function kindsOf(preset) {
  return preset.specs.map(({ spec }) => spec.connection.kind);
}

/** The preset whose view is shown unchanged, except for its animated setting. */
export const preset = computed(() => {
  const from = origin.value;
  if (!from) return null;
  if (state.fields.value.size === 0) return boot.preset ?? null;
  return showsPreset(state.view.value, from, from.plays) ? from : null;
});

/** Format a run's number in a preset's view; null while it is computed. @param {Preset} shown @param {Columns} columns @returns {string | null} */
export function toHeadline(shown, columns) {
  if (columns.end === null) return null;
  const { key } = shown.metric;
  const number = shown.number === 'perplexity' ? toRise(columns) : reduceColumn(columns, key, shown.reduce);
  return formatReduced(key, number, columns.start?.streams);
}

/** Compute by how many % edits raise the perplexity, exp(loss). Counterpart: `Preset.read_number`. @param {Columns} columns */
function toRise({ loss, lossBase }) {
  const isKnown = loss !== null && lossBase !== null;
  return {
    value: isKnown ? 100 * Math.expm1(loss - lossBase) : null,
    log10: null,
    status: isKnown ? 'finite' : 'unknown',
  };
}

/** Detach the view from its preset, whose text then no longer applies. */
export function leavePreset() {
  state.changeView({ preset: undefined });
}

/** Problem of a link that names an unknown preset; empty until all presets are loaded. */
export const unknownPreset = computed(() => {
  const { preset: name } = state.view.value;
  return areAllKnown.value && name !== undefined && !origin.value ? [`no preset named "${name}"; see Examples`] : [];
});

/** Title of the document without a snapshot: the preset's title, or the runs and their depth. */
export const title = computed(() => {
  const named = preset.value?.title ?? (state.fields.value.size > 0 ? nameRuns() : '');
  return named ? `${named} · mHC Scope` : 'mHC Scope';
});

/** Name the runs and their depth: `Residual, HC, mHC at depth 64`. */
function nameRuns() {
  const names = state.labels.value.map((label) => label.slice(label.indexOf(' ') + 1)).join(', ');
  const depths = [...new Set(state.specs.value.map((spec) => spec.depth ?? state.fields.value.get('depth')?.initial))];
  if (state.hasTrace.value) return names; // settings do not contain the depth of a recording
  return `${names} at depth${depths.length > 1 ? 's' : ''} ${depths.join(' and ')}`;
}
