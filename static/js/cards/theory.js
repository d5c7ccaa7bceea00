/** Notes next to the theory figure: for each run the law that applies, or the premise that does not hold. */

import { modelOf } from '../data/record.js';
import { shownOf } from '../figures/drawing.js';
import { lawOf, lookUp, THEORY } from '../figures/sources.js';
import { atStep } from '../figures/steps.js';
import { getPresets } from '../net/api.js';
import { shownStep } from '../plots/places.js';
import { openPreset } from '../state/actions.js';
import * as state from '../state/signals.js';
import { KIND, kindName, nameOf } from '../state/spec.js';
import { stylesOf } from '../state/styles.js';
import { html } from '../ui/html.js';
import { linkPapers } from '../ui/papers.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('../../types').Panel} Panel @typedef {import('../../types').PanelView} PanelView */

const PRESET = 'laws';

/** Render for each run how many layers agree with the law, or why no law applies. @param {{panel: Panel, view: PanelView}} props */
export function TheoryNotes({ panel, view }) {
  state.dataTick.value;
  const step = shownStep(panel, view.figure);
  const metric = view.figure.data[0].meta.key;
  const rules = view.figure.layout.meta.rules.steps;
  const isSilent = state.slots.value.every((slot) => lawOf(columnsWithLaws(slot), metric) === null);
  return html`
    <div class="theory-notes">
      <dl>${state.slots.value.map(
        (slot, run) => html`
        <dt style=${{ '--run': stylesOf()[run]?.color }}>${slot.label}</dt>
        <dd><${RunNote} columns=${atStep(columnsWithLaws(slot), step, rules)} metric=${metric} /></dd>`,
      )}
      </dl>
      <button type="button" class=${isSilent ? 'primary' : ''} onClick=${openLaws}>Show an example where theory applies</button>
    </div>
  `;
}

/** Return the shown columns of a slot if they have a start frame with laws. @param {import('../state/signals.js').Slot} slot */
const columnsWithLaws = (slot) =>
  shownOf(slot, (columns) => columns.start !== null && !columns.waits.has(THEORY)).columns;

/** Open the preset that explains the laws. */
async function openLaws() {
  const preset = (await getPresets()).presets.find((item) => item.name === PRESET);
  if (preset) openPreset(preset);
}

/** Render in how many layers a run agrees with its law, or why no law applies. @param {{columns: Columns, metric: string}} props */
function RunNote({ columns, metric }) {
  const law = lawOf(columns, metric);
  if (!columns.start) return html`<p>…</p>`;
  if (!law) return html`<p><b>No prediction.</b> ${describeMissingLaw(columns, metric)}</p>`;
  return html`
    <p><b>${nameOf(law.law)}.</b> ${law.holds} <${Inside} columns=${columns} metric=${metric} /></p>
    <p class="formula">${law.formula}</p>
    <p class="hint">${linkPapers(law.source)}</p>
  `;
}

/** Describe why no law predicts a metric. @param {Columns} columns @param {string} metric */
function describeMissingLaw(columns, metric) {
  if (modelOf(columns)) return 'A recording has no settings to predict from.';
  const premise = columns.start?.no_law?.[metric];
  if (!premise) return 'An earlier version stored this run without its assumptions.';
  const title = state.fields.value.get(premise.field)?.title ?? premise.field;
  return html`${title} is <b>${premise.field === KIND ? kindName(String(premise.got)) : nameOf(premise.got ?? '')}</b>; theory needs ${premise.wanted}.`;
}

/** Render in how many layers a metric is inside the band that its law predicts. @param {{columns: Columns, metric: string}} props */
function Inside({ columns, metric }) {
  const found = countInside(columns, metric);
  if (found === null) return null;
  const { inside, known } = found;
  return html`<span class=${inside < known ? 'error' : ''}>${inside} of ${known} layers are inside the band.</span>`;
}

/** Count the layers in which a metric is inside the band that its law predicts. @param {Columns} columns @param {string} metric @returns {{inside: number, known: number} | null} null before it is measured */
function countInside(columns, metric) {
  const suffix = lawOf(columns, metric)?.values_log10 ? '_log10' : '';
  const read = (/** @type {string} */ source) => lookUp(`${source}.${metric}`, columns, '', 0);
  const [measured, low, high] = [suffix ? 'log10' : 'layers', `law.low${suffix}`, `law.high${suffix}`].map(read);
  if (!measured) return null;
  // The law has gaps where its band would be too wide.
  const known = [...measured.keys()].filter((layer) => measured[layer] !== null && low[layer] !== null);
  const inside = known.filter((layer) => measured[layer] >= low[layer] && measured[layer] <= high[layer]);
  return { inside: inside.length, known: known.length };
}
