/** The presets, and the one whose view is shown: it stays until the view is changed by hand. */

import { computed, signal } from '@preact/signals';
import { formatValue } from '../data/numbers.js';
import { reduceColumn } from '../data/reduce.js';
import { hasServer, ROOT } from '../net/sent.js';
import { boot } from './boot.js';
import * as state from './signals.js';
import { fromSpecs, haveSameSpecs } from './view/spec.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('../../types').Preset} Preset @typedef {import('../../types').View} View */

/** What the address of a preset's page begins and ends with: on a file server all pages are in one folder. */
const [PATH, ENDING] = hasServer ? [`${ROOT}/p/`, ''] : [`${ROOT}/preset-`, '.html'];

/** All of them once they have come; before that the one that the page was opened with. */
export const presets = signal(boot.preset ? [boot.preset] : /** @type {Preset[]} */ ([]));
export const areAllKnown = signal(false);

if (boot.preset) state.view.value = toFirstView(boot.preset);

/** @param {string | undefined} name */
export const findPreset = (name) => presets.value.find((preset) => preset.name === name);

/** The address of a preset's own page. @param {Preset} preset */
export const pathOf = (preset) => PATH + preset.name + ENDING;

/** The name in an address such as `/p/laws`, or `/preset-laws.html` on a file server. @param {string} pathname */
export const nameIn = (pathname) =>
  pathname.startsWith(PATH) ? pathname.slice(PATH.length).replace(/\.html$/, '') : undefined;

/** What a preset opens with. @param {Preset} preset @returns {View} */
export function toView(preset) {
  const specs = preset.specs.map((item) => item.spec);
  const cards = preset.view ? { cards: { [preset.panel]: preset.view } } : {};
  return { ...fromSpecs(state.fields.value, specs), preset: preset.name, ...cards };
}

/** The preset that the view came from, changed since then or not. */
export const origin = computed(() => findPreset(state.view.value.preset));

/** Whether a view's runs are those of a preset. @param {View} view @param {Preset} preset @param {string | null} [played] a field that may differ */
export function isSame(view, preset, played = null) {
  return haveSameSpecs(state.fields.value, view, toView(preset), played);
}

/** What the page of a preset begins with, until the schema says which settings its runs share. @param {Preset} preset @returns {View} */
function toFirstView(preset) {
  return { base: {}, runs: kindsOf(preset).map((kind) => ({ kind, own: {} })), cursor: null, preset: preset.name };
}

/** The connections of a preset's runs. @param {Preset} preset @returns {string[]} */
export function kindsOf(preset) {
  return preset.specs.map(({ spec }) => spec.connection.kind);
}

/** The preset whose view is shown as it is; what it plays may move. */
export const preset = computed(() => {
  const from = origin.value;
  if (!from) return null;
  if (state.fields.value.size === 0) return boot.preset ?? null;
  return isSame(state.view.value, from, from.plays) ? from : null;
});

/** A run's number in a preset's view, from its columns; null while it is computed. @param {Preset} shown @param {Columns} columns @returns {string | null} */
export function toHeadline(shown, columns) {
  if (columns.end === null) return null;
  const { value, log10, status } = reduceColumn(columns, shown.metric.key, shown.reduce);
  return formatValue(value, log10, status);
}

/** Back to a view that is nobody's. */
export function leavePreset() {
  const { preset: _, ...rest } = state.view.value;
  state.view.value = rest;
}

/** What a link says of a preset that there is not, once all are known. */
export const unknownPreset = computed(() => {
  const { preset: name } = state.view.value;
  return areAllKnown.value && name !== undefined && !origin.value ? [`no preset named "${name}"; see Examples`] : [];
});

/** What the document is called where no stored view names it: after the preset, or the runs and their depth. */
export const title = computed(() => {
  const named = preset.value?.title ?? (state.fields.value.size > 0 ? describeRuns() : '');
  return named ? `${named} · mHC Scope` : 'mHC Scope';
});

/** `Residual, HC, mHC at depth 64`. */
function describeRuns() {
  const names = state.labels.value.map((label) => label.slice(label.indexOf(' ') + 1)).join(', ');
  const depths = [...new Set(state.specs.value.map((spec) => spec.depth ?? state.fields.value.get('depth')?.initial))];
  if (state.hasTrace.value) return names; // whose depths the settings do not say
  return `${names} at depth${depths.length > 1 ? 's' : ''} ${depths.join(' and ')}`;
}
