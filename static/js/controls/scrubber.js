/** The sliders of the cursors, layer and step of training, and what every run reads there. */

import { effect } from '@preact/signals';
import { shownOf } from '../data/drawing.js';
import { formatValue, UNKNOWN } from '../data/numbers.js';
import { textAt, toStepTexts } from '../data/sources.js';
import { atStep } from '../data/steps.js';
import { showAll } from '../figures/boxes.js';
import { sayPart } from '../figures/places.js';
import { isComposite, toPart } from '../instant/part.js';
import { moveCursor, moveStep } from '../state/actions.js';
import * as state from '../state/signals.js';
import { stylesOf } from '../state/styles.js';
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
  const { first: least, last: most } = state.interval.value;
  const [layer, last] = [state.cursor.value, state.layers.value - 1];
  const [first] = state.slots.value.map((slot) => shownOf(slot, (columns) => columns.start !== null).columns);
  const block = (first?.start?.blocks?.[layer] ?? '').replaceAll('_', ' ');
  return html`
    <label for="cursor"><b>Layer ${layer + 1}</b> / ${last + 1}<small>${block || '\u00a0'}</small></label>
    <div class="track"><input type="range" id="cursor" min=${least + 1} max=${most + 1} step="1" value=${layer + 1} disabled=${least === most}
      style=${{ '--share': `${most > least ? (100 * (layer - least)) / (most - least) : 0}%` }} aria-valuetext=${`layer ${layer + 1}${block ? `, ${block}` : ''}`}
      onInput=${(/** @type {any} */ event) => moveCursor(Number(event.target.value) - 1)} /><${Part} /></div>
  `;
}

/** The layers that all cards show and speak of, where someone has chosen some: to press it shows all again. */
function Part() {
  const text = sayPart();
  if (!text) return null;
  const [, word, numbers] = /** @type {string[]} */ (text.match(/(\w+ )(.*)/)); // on a phone the numbers alone
  const clear = () => {
    showAll();
    document.getElementById('cursor')?.focus(); // this button is gone
  };
  return html`<button type="button" class="part" aria-label=${`${text}: show all layers`} title="Show all layers: a double click on a figure does the same"
    onClick=${clear}><span class="only-wide">${word}</span>${numbers} <span aria-hidden="true">×</span></button>`;
}

/** Its last place is the trained stack, after the last step's update. */
function StepSlider() {
  const { value: steps } = state.steps;
  const at = state.view.value.step === undefined ? steps : (state.step.value ?? steps);
  const { name, rest, small, spoken } = state.isWatched.value ? sayObservation(at, steps) : sayStep(at, steps);
  return html`
    <label for="step"><b>${name}</b> ${rest}<small>${small}</small></label>
    <input type="range" id="step" min="1" max=${steps + 1} step="1" value=${at + 1} style=${{ '--share': `${(100 * at) / steps}%` }}
      aria-valuetext=${spoken}
      onInput=${(/** @type {any} */ event) => moveStep(Number(event.target.value) - 1)} />
  `;
}

/** Where the slider of runs that train stands. @param {number} at from 0, the number of steps for the trained stack @param {number} steps */
function sayStep(at, steps) {
  if (at === steps) return { name: 'Trained', rest: `in ${steps}`, small: 'steps', spoken: 'the trained stack' };
  const name = `Step ${at + 1}`;
  return {
    name,
    rest: `/ ${steps}`,
    small: 'before its update',
    spoken: `step ${at + 1}, before its update`,
  };
}

/** Where that of watched models stands, whose steps are called as their trainer calls them. @param {number} at likewise @param {number} steps */
function sayObservation(at, steps) {
  const number = state.nameStep(Math.min(at, steps - 1));
  const rest = `step ${number}`;
  if (at === steps) return { name: 'Latest', rest, small: `of ${steps} observations`, spoken: `the latest, ${rest}` };
  const small = `observation ${at + 1} of ${steps}`;
  return { name: `Step ${number}`, rest: '', small, spoken: `${rest}, ${small}` };
}

function Readout() {
  state.dataTick.value;
  const [layer, step] = [state.cursor.value, state.step.value];
  const isTraining = state.isTraining.value;
  const trains = isTraining
    ? [{ key: 'step_loss', title: 'loss' }, ...(step === null ? [] : [{ key: 'step_grad_norm', title: '‖gradient‖' }])]
    : [];
  const where = step === null ? '' : `, step ${state.nameStep(step)}`;
  const told = toldOfPart(step);
  const ofAll = (/** @type {string} */ key) => (state.part.value && !told && isComposite(key) ? ' of all' : '');
  return html`
    <table class="readout" aria-label=${`Values at layer ${layer + 1}${where}`}>
      <thead>
        ${step === null ? null : html`<tr><td></td><th scope="colgroup" colspan=${READ.length + trains.length}>step ${state.nameStep(step)}</th></tr>`}
        <tr><th scope="col"><span class="sr">run</span></th>${[...READ, ...trains].map(({ key, title }) => html`<th scope="col">${title}${ofAll(key)}</th>`)}</tr>
      </thead>
      <tbody>${state.slots.value.map(
        (slot, run) => html`
        <tr style=${{ '--run': stylesOf()[run]?.color }}>
          <th scope="row"><span class="sr">${slot.label}</span><span aria-hidden="true">${slot.label[0]}</span></th>
          ${READ.map(({ key }) => html`<td data-key=${key} class=${isBehind(slot, key, step) ? 'waits' : ''}>${readLayer((isComposite(key) && told?.[run]) || readFrom(slot, key, step), key, layer, step)}</td>`)}
          ${trains.map(({ key }) => html`<td data-key=${key}>${readStep(slot.columns, key, step)}</td>`)}
        </tr>`,
      )}
      ${state.slots.value.length === 0 ? state.view.value.runs.map(() => html`<tr><td>\u00a0</td></tr>`) : null}
      </tbody>
    </table>
  `;
}

/** What is said of a layer, of each run. */
const SPOKEN = [READ[0], READ[1], READ[3]];
/** A hand that goes on says nothing: what it rests on is said once. */
const REST_MS = 600;

/** The values at the cursor in one sentence. */
function sayValues() {
  const [layer, step] = [state.cursor.value, state.step.value];
  const told = toldOfPart(step);
  const runs = state.slots.value.map((slot, run) => {
    const values = SPOKEN.map(({ key, title }) => {
      const found = (isComposite(key) && told?.[run]) || readFrom(slot, key, step);
      return `${title.replace('→', 'forward')} ${readLayer(found, key, layer, step)}`;
    });
    return `${slot.label} ${values.join(', ')}`;
  });
  return `Layer ${layer + 1}${step === null ? '' : `, step ${state.nameStep(step)}`}: ${runs.join('; ')}.`;
}

/** Say what stands at the cursor once it rests, for as long as the page is there. */
export function followCursor() {
  let timer = 0;
  effect(() => {
    const { cursor, step } = state.view.value;
    const isMoved = cursor !== null || step !== undefined;
    const place = `${cursor} ${step}`;
    if (!isMoved || place === said) return;
    const isFirst = said === null;
    said = place;
    clearTimeout(timer);
    // What a link says of the cursor is no move.
    if (!isFirst || state.phase.peek() === 'idle') timer = speakLater();
  });
}

/** Unless something else is said meanwhile, which is newer. */
function speakLater() {
  const before = state.spoken.peek();
  return setTimeout(() => {
    if (state.spoken.peek() === before) state.spoken.value = sayValues();
  }, REST_MS);
}

/** The place that was said last, or that the page opened with. @type {string | null} */
let said = null;

/** What a number is read from: the run, or the one before it until it has come so far. @param {import('../state/signals.js').Slot} slot @param {string} key @param {number | null} step */
function readFrom(slot, key, step) {
  const rules = state.templates.value?.rules.steps;
  // The templates, which no figure is without, may be on their way.
  return rules && shownOf(slot, (item) => atStep(item, step, rules).layers.has(key)).columns;
}

/** The runs with gains of the chosen layers alone; null where they are of all. @param {number | null} step */
function toldOfPart(step) {
  const { value: part } = state.part;
  const runs = state.slots.value.map((slot) => readFrom(slot, 'composite_gain_fwd', step) || null);
  return part && step === null ? toPart(runs, part) : null;
}

/** @param {Columns | undefined} found @param {string} key @param {number} layer @param {number | null} step */
function readLayer(found, key, layer, step) {
  const rules = state.templates.value?.rules.steps;
  if (!rules || !found) return UNKNOWN;
  const columns = atStep(found, step, rules);
  return textAt(columns, key, layer) ?? '–';
}

/** Whether what is read is of the run before. @param {import('../state/signals.js').Slot} slot @param {string} key @param {number | null} step */
function isBehind(slot, key, step) {
  const found = readFrom(slot, key, step);
  return found !== undefined && found !== slot.columns && found !== slot.known;
}

/** Of the trained stack its own loss; of a run that does not train nothing is known at a step. @param {Columns} columns @param {string} key @param {number | null} step */
function readStep(columns, key, step) {
  if (step === null) return formatValue(columns.loss);
  return toStepTexts(columns, key)?.[step] ?? '–';
}
