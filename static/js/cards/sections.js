/** Sections with the other figures, initially closed. A closed section shows one finding; an open one draws its figures. */

import { computed } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { formatGain } from '../data/gain.js';
import { formatFixed, formatValue, largestMagnitude } from '../data/numbers.js';
import { shownOf } from '../figures/drawing.js';
import { toNames } from '../figures/labels.js';
import { updateAddress } from '../state/actions.js';
import { origin } from '../state/presets.js';
import * as state from '../state/signals.js';
import { html } from '../ui/html.js';
import { Lazy } from '../ui/lazy.js';
import { useWhileSeen } from '../ui/seen.js';
import { PanelCard } from './card.js';
import { isInStrip } from './strip.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('../../types').Panel} Panel */

/**
 * Sections by key, which is the group of their panels. `toFinding` returns the line next to the title.
 * @type {Record<string, {title: string, about: string, toFinding: () => string}>}
 */
const SECTIONS = {
  mixing: { title: 'Mixing', about: 'mixing matrices, their products, single streams', toFinding: describeMixing },
  similarity: { title: 'Similarity', about: 'cosines and CKA between layers', toFinding: describeSimilarity },
  training: { title: 'Training', about: 'loss, gain and gradient at each step', toFinding: describeTraining },
  cost: { title: 'Cost', about: 'what each connection adds', toFinding: describeCost },
  expert: {
    title: 'Expert figures',
    about: 'effective skip connections, theory vs. measurement',
    toFinding: describeExpert,
  },
};
const COST = 'cost';

/** Keys of open sections, joined to a string, so that sections render only on changes: those in the address, else those with a panel whose view is chosen in the address. */
const openSections = computed(() => {
  const { open, cards } = state.view.value;
  if (open) return open.join();
  const chosen = state.shownPanels.value.filter(({ key }) => cards?.[key] !== undefined && key !== origin.value?.panel);
  return Object.keys(SECTIONS)
    .filter((section) => chosen.some(({ group }) => group === section))
    .join();
});

/** Return whether a section is open. @param {string} section */
const isSectionOpen = (section) => openSections.value.split(',').includes(section);

/** Open or close a section of figures. @param {string} section @param {boolean} isOpen */
function setOpen(section, isOpen) {
  if (isSectionOpen(section) === isOpen) return;
  const next = Object.keys(SECTIONS).filter((key) => (key === section ? isOpen : isSectionOpen(key)));
  state.view.value = { ...state.view.value, open: next };
  updateAddress();
}

/** Open the section of a panel, if it has one. @param {string} key of the panel */
export function showSectionOf(key) {
  const section = key === COST ? COST : state.shownPanels.value.find((panel) => panel.key === key)?.group;
  if (section && section in SECTIONS && key !== origin.value?.panel) setOpen(section, true);
}

/** Return the panel of the preset, unless the strip shows it. */
export const featuredKey = () => (isInStrip(origin.value?.panel) ? undefined : origin.value?.panel);

/** Render the card of the preset's panel; `data-awaits` reserves its height until it is loaded. */
export function Featured() {
  const key = featuredKey();
  if (!key) return null;
  const panel = state.shownPanels.value.find((item) => item.key === key);
  return html`<div class="panels featured" data-awaits=${key}>${panel ? html`<${PanelCard} key=${panel.key} panel=${panel} />` : null}</div>`;
}

/** Render all sections below the first screen. */
export function Sections() {
  const others = state.shownPanels.value.filter(({ key }) => key !== featuredKey());
  const shown = Object.keys(SECTIONS).filter((key) => key === COST || others.some(({ group }) => group === key));
  return html`<div class="sections">${shown.map((key) => html`<${Section} key=${key} section=${key} panels=${others.filter(({ group }) => group === key)} />`)}</div>`;
}

/** Render a section of figures below the first screen. @param {{section: string, panels: Panel[]}} props */
function Section({ section, panels }) {
  const isOpen = isSectionOpen(section);
  const { title } = SECTIONS[section];
  const onToggle = (/** @type {any} */ event) => setOpen(section, event.currentTarget.open);
  return html`
    <details class="section" id=${`section-${section}`} open=${isOpen} onToggle=${onToggle}>
      <summary><h2>${title}</h2>${isOpen ? null : html`<${Finding} section=${section} />`}</summary>
      ${isOpen ? html`<div class="panels">${section === COST ? html`<${Lazy} isWanted=${true} load=${loadCostCard} />` : panels.map((panel) => html`<${PanelCard} key=${panel.key} panel=${panel} level="h3" />`)}</div>` : null}
    </details>
  `;
}

/** Load the card of the costs, which is in a section that few visits open. */
const loadCostCard = () => import('./costs.js').then((module) => module.CostCard);

/** Render the finding of a closed section. @param {{section: string}} props */
function Finding({ section }) {
  const line = useRef(/** @type {HTMLElement | null} */ (null));
  const text = useWhileSeen(line, () => {
    state.dataTick.value;
    const { about, toFinding } = SECTIONS[section];
    return toFinding() || about;
  });
  return html`<span class="section-finding" ref=${line}>${text}</span>`;
}

/**
 * Format a number of each run that has it: `HC ×2.43 · mHC ×1.00`; empty if no run has it.
 * @param {(columns: Columns) => boolean} has
 * @param {(columns: Columns) => string | null} format
 */
function describeEach(has, format) {
  const { value: slots } = state.slots;
  const names = toNames(slots.map(({ label }) => label));
  return slots
    .flatMap((slot, run) => {
      const { columns } = shownOf(slot, has);
      const text = has(columns) ? format(columns) : null;
      return text === null ? [] : [`${names[run]} ${text}`];
    })
    .join(' · ');
}

/** Describe the largest gain of a single layer for each run; empty if unknown. */
function describeMixing() {
  const has = (/** @type {Columns} */ { log10, start }) => log10.has('gain_fwd') && (start?.streams ?? 1) > 1;
  const text = describeEach(has, ({ log10 }) => {
    const known = /** @type {number[]} */ (Array.from(/** @type {Float64Array} */ (log10.get('gain_fwd')))).filter(
      Number.isFinite,
    );
    return known.length > 0 ? formatGain(Math.max(...known)) : null;
  });
  return text && `Largest gain of a single layer: ${text}`;
}

/** Describe the range of cosine similarity between consecutive layers for each run; empty if unknown. */
function describeSimilarity() {
  const text = describeEach(
    ({ layers }) => layers.has('cos_prev'),
    ({ layers }) => {
      const cosines = Array.from(/** @type {Float64Array} */ (layers.get('cos_prev'))).filter(Number.isFinite);
      if (cosines.length === 0) return null;
      return [Math.min(...cosines), Math.max(...cosines)].map((cosine) => formatFixed(cosine, 2)).join(' to ');
    },
  );
  return text && `Cosine similarity of consecutive layers' inputs: ${text}`;
}

/** Describe the loss before and after training for each run; empty if unknown. */
function describeTraining() {
  const text = describeEach(
    ({ steps, trained }) => steps.has('step_loss') && trained > 0,
    ({ steps, trained }) => {
      const losses = /** @type {import('../../types').Matrix} */ (steps.get('step_loss')).data;
      const [first, last] = [losses[0], losses[trained - 1]];
      return [first, last].every(Number.isFinite) ? `${first.toFixed(2)} → ${last.toFixed(2)}` : null;
    },
  );
  return text && `Training loss: ${text}`;
}

/** Describe the memory traffic from the server's estimates; empty without a residual network among the runs. */
function describeCost() {
  const { value: estimates } = state.estimates;
  const { runs } = state.settings.value;
  const base = estimates[runs.findIndex(({ kind }) => kind === 'residual')];
  if (!base || estimates.length !== runs.length) return '';
  const names = toNames(state.labels.value);
  const others = estimates.flatMap(({ bytes_moved }, run) =>
    estimates[run] === base ? [] : [`${names[run]} ×${(bytes_moved / base.bytes_moved).toFixed(1)}`],
  );
  return others.length > 0 ? `Memory traffic of the whole stack, estimated, residual = 1: ${others.join(' · ')}` : '';
}

/** Caches the largest weight of a matrix. @type {WeakMap<object, number>} */
const weights = new WeakMap();

/** Describe the largest weight of an effective skip connection for each run, for the section of expert figures; empty if unknown. */
function describeExpert() {
  const text = describeEach(
    ({ matrices }) => matrices.has('unfolded'),
    ({ matrices }) => {
      const matrix = /** @type {import('../../types').Matrix} */ (matrices.get('unfolded'));
      const most = weights.get(matrix) ?? largestMagnitude(matrix.data);
      weights.set(matrix, most);
      return formatValue(most, null, undefined, 3);
    },
  );
  return text && `Largest weight of one layer's output in a later input: ${text}`;
}
