/** The sliders of the cursors, layer and step of training, and what every run reads there. */

import { shownOf } from '../data/drawing.js';
import { formatValue, UNKNOWN } from '../data/numbers.js';
import { lookUp, toStepTexts } from '../data/sources.js';
import { atStep } from '../data/steps.js';
import { moveCursor, moveStep } from '../state/actions.js';
import * as state from '../state/signals.js';
import { html } from '../ui/html.js';
import { Fold } from '../ui/menu.js';

/** @typedef {import('../../types').Columns} Columns */

/** What is read of a layer; the frames of training tell of it at every step. */
const READ = [
  { key: 'act_rms', title: 'activation' },
  { key: 'grad_rms', title: 'gradient' },
  { key: 'cos_prev', title: 'cosine' },
  { key: 'composite_gain_fwd', title: 'gain →' },
  { key: 'composite_gain_bwd', title: 'gain ←' },
];

export function Scrubber() {
  return html`
    <footer class=${`scrubber ${state.isTraining.value ? 'with-steps' : ''}`}>
      <${LayerSlider} />
      ${state.isTraining.value ? html`<${StepSlider} />` : null}
      <${Fold} label="Values at this layer" sign="Values"><${Readout} /><//>
    </footer>
  `;
}

function LayerSlider() {
  const [layer, last] = [state.cursor.value, state.layers.value - 1];
  const block = state.slots.value[0]?.columns.start?.blocks?.[layer] ?? '';
  return html`
    <label for="cursor"><b>Layer ${layer + 1}</b> / ${last + 1}<small>${block}</small></label>
    <input type="range" id="cursor" min="1" max=${last + 1} step="1" value=${layer + 1} disabled=${last === 0}
      style=${{ '--share': `${last > 0 ? (100 * layer) / last : 0}%` }} aria-valuetext=${`layer ${layer + 1}${block ? `, ${block}` : ''}`}
      onInput=${(/** @type {any} */ event) => moveCursor(Number(event.target.value) - 1)} />
  `;
}

/** Its last place is the trained stack, after the last step's update. */
function StepSlider() {
  const { value: steps } = state.steps;
  const at = state.step.value ?? steps;
  const name = at === steps ? 'Trained' : `Step ${at + 1}`;
  return html`
    <label for="step"><b>${name}</b> ${at === steps ? `in ${steps}` : `/ ${steps}`}<small>${at === steps ? 'steps' : 'before its update'}</small></label>
    <input type="range" id="step" min="1" max=${steps + 1} step="1" value=${at + 1} style=${{ '--share': `${(100 * at) / steps}%` }}
      aria-valuetext=${at === steps ? 'the trained stack' : `step ${at + 1}, before its update`}
      onInput=${(/** @type {any} */ event) => moveStep(Number(event.target.value) - 1)} />
  `;
}

function Readout() {
  state.dataTick.value;
  const [layer, step] = [state.cursor.value, state.step.value];
  const isTraining = state.isTraining.value;
  const trains = isTraining
    ? [{ key: 'step_loss', title: 'loss' }, ...(step === null ? [] : [{ key: 'step_grad_norm', title: '‖gradient‖' }])]
    : [];
  const where = step === null ? '' : `, step ${step + 1}`;
  return html`
    <table class="readout" aria-live="polite" aria-label=${`Values at layer ${layer + 1}${where}`}>
      <thead>
        ${step === null ? null : html`<tr><td></td><th scope="colgroup" colspan=${READ.length + trains.length}>step ${step + 1}</th></tr>`}
        <tr><th scope="col"><span class="sr">run</span></th>${[...READ, ...trains].map(({ title }) => html`<th scope="col">${title}</th>`)}</tr>
      </thead>
      <tbody>${state.slots.value.map(
        (slot, run) => html`
        <tr style=${{ '--run': state.templates.value?.runs[run]?.color }}>
          <th scope="row"><span class="sr">${slot.label}</span><span aria-hidden="true">${slot.label[0]}</span></th>
          ${READ.map(({ key }) => html`<td data-key=${key}>${readLayer(slot, key, layer, step)}</td>`)}
          ${trains.map(({ key }) => html`<td data-key=${key}>${readStep(slot.columns, key, step)}</td>`)}
        </tr>`,
      )}
      </tbody>
    </table>
  `;
}

/** @param {import('../state/signals.js').Slot} slot @param {string} key @param {number} layer @param {number | null} step */
function readLayer(slot, key, layer, step) {
  const rules = state.templates.value?.rules.steps;
  if (!rules) return UNKNOWN; // the templates, which no figure is without, are on their way
  const columns = atStep(shownOf(slot, (item) => atStep(item, step, rules).layers.has(key)).columns, step, rules);
  return lookUp(`middle.text.${key}`, columns, '', 0)?.[layer] ?? '–'; // as the bold curve: of several seeds the median
}

/** Of the trained stack its own loss; of a run that does not train nothing is known at a step. @param {Columns} columns @param {string} key @param {number | null} step */
function readStep(columns, key, step) {
  if (step === null) return formatValue(columns.loss);
  return toStepTexts(columns, key)?.[step] ?? '–';
}
