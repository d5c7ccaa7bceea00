/** Collects the data for the sliders of a saved file: the runs as columns, and the figures of the cards. */

import { movableFields, wholeLayers } from '../cards/framesliders.js';
import { depthOf, specOf } from '../data/record.js';
import { deriveColumns } from '../derived/derive.js';
import { packValue } from '../share/pack.js';
import { collectScripts } from '../share/scripts.js';
import { boot } from '../state/boot.js';
import * as state from '../state/signals.js';
import { isUnconstrained, settingOf, stopsOf } from '../state/spec.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('../../types').Figure} Figure @typedef {import('../../types').Field} Field @typedef {import('../share/sliders.js').Slider} Slider */
/**
 * @typedef {{runs: Columns[], labels: string[], areFree: boolean[], layer: number, isDifference: boolean, sliders: Slider[],
 *   panels: {key: string, figure: Figure}[], derivation: import('../../types').DerivationRules, rules: import('../../types').FigureRules,
 *   methods: import('../../types').ViewRules['methods']}} Given
 */

/** Largest size of the data; larger files, with about a thousand layers, open slowly. */
const MAX_CHARACTERS = 8e6;

/**
 * Collect the data of sliders that work in a saved file; null if no slider would work: for recordings, training, an interval, or runs that are too large.
 * @returns {Promise<import('../share/standalone.js').Live | null>}
 */
export async function collectLiveData() {
  const runs = state.slots.value.map(({ columns }) => columns);
  const layers = wholeLayers();
  if (layers === 0 || state.chosenInterval.value || !runs.every(canDerive)) return null;
  const sliders = movableFields().map((field) => toSlider(field, layers));
  const { templates } = state;
  if (sliders.length === 0 || !templates.value) return null;
  /** @type {Given} */
  const given = {
    runs,
    labels: state.slots.value.map(({ label }) => label),
    areFree: runs.map((columns) => isUnconstrained(specOf(columns)?.connection.kind ?? null)),
    layer: state.cursor.value,
    isDifference: state.isDifference.value,
    sliders,
    panels: state.shownPanels.value.map((panel) => ({
      key: panel.key,
      figure: withoutRules(state.viewOf(panel).figure),
    })),
    derivation: boot.rules.derivation,
    rules: templates.value.rules,
    methods: boot.rules.methods,
  };
  const text = packValue(given);
  return text.length > MAX_CHARACTERS ? null : { given: text, ...(await collectScripts()) };
}

/** Return whether the page can compute a run's columns at other settings: it tries with the run's own. @param {Columns} columns */
function canDerive(columns) {
  const { noise, sinkhorn_iters } = specOf(columns)?.connection ?? {};
  return (
    deriveColumns(columns, { layers: depthOf(columns), noise, rounds: sinkhorn_iters }, boot.rules.derivation) !== null
  );
}

/** Create the slider of a field for a saved file. @param {Field} field @param {number} layers known layers @returns {Slider} */
function toSlider(field, layers) {
  const value = Number(settingOf(state.view.value, { kind: '', own: {} }, field));
  const stops = stopsOf(field).filter((stop) => field.path !== 'depth' || stop <= layers);
  const all = [...new Set([...stops, value])].sort((one, other) => one - other);
  return { path: field.path, title: field.title, unit: field.unit, stops: all, value };
}

/** Remove the rules, which are the same for all figures. @param {Figure} figure @returns {Figure} */
function withoutRules({ data, layout }) {
  const { rules: _, ...meta } = layout.meta;
  return { data, layout: { ...layout, meta: /** @type {any} */ (meta) } };
}
