/** The layer cursor's slider, and what every run reads there. */

import { moveCursor } from './actions.js';
import { html } from './html.js';
import { Fold } from './menu.js';
import { toTexts } from './sources.js';
import * as state from './state.js';

const READ = [
  { key: 'act_rms', title: 'activation' },
  { key: 'grad_rms', title: 'gradient' },
  { key: 'composite_gain_fwd', title: 'gain →' },
  { key: 'composite_gain_bwd', title: 'gain ←' },
  { key: 'cos_prev', title: 'cosine' },
];

export function Scrubber() {
  const [layer, last] = [state.cursor.value, state.layers.value - 1];
  const block = state.slots.value[0]?.columns.start?.blocks?.[layer] ?? '';
  return html`
    <footer class="scrubber">
      <label for="cursor"><b>Layer ${layer + 1}</b> / ${last + 1}<small>${block}</small></label>
      <input type="range" id="cursor" min="1" max=${last + 1} step="1" value=${layer + 1} disabled=${last === 0}
        style=${{ '--share': `${last > 0 ? (100 * layer) / last : 0}%` }} aria-valuetext=${`layer ${layer + 1}${block ? `, ${block}` : ''}`}
        onInput=${(/** @type {any} */ event) => moveCursor(Number(event.target.value) - 1)} />
      <${Fold} label="Values at this layer" sign="Values"><${Readout} layer=${layer} /><//>
    </footer>
  `;
}

/** @param {{layer: number}} props */
function Readout({ layer }) {
  state.dataTick.value;
  return html`
    <table class="readout" aria-live="polite" aria-label=${`Values at layer ${layer + 1}`}>
      <thead><tr><th scope="col"><span class="sr">run</span></th>${READ.map(({ title }) => html`<th scope="col">${title}</th>`)}</tr></thead>
      <tbody>${state.slots.value.map((slot, run) => html`
        <tr style=${{ '--run': state.templates.value?.runs[run]?.color }}>
          <th scope="row"><span class="sr">${slot.label}</span><span aria-hidden="true">${slot.label[0]}</span></th>
          ${READ.map(({ key }) => html`<td data-key=${key}>${read(slot, key, layer)}</td>`)}
        </tr>`)}
      </tbody>
    </table>
  `;
}

/** @param {import('./state.js').Slot} slot @param {string} key @param {number} layer */
function read(slot, key, layer) {
  const columns = slot.columns.layers.has(key) || slot.columns.end ? slot.columns : (slot.previous?.columns ?? slot.columns);
  return toTexts(columns, key)?.[layer] ?? '–';
}
