/** The three sliders below the picture, the switch between noise and trained runs, and the buttons for another seed and all settings. */

import { useComputed } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import { trainSteps } from '../data/record.js';
import { measureDrift } from '../derived/measure.js';
import { toNames } from '../figures/labels.js';
import { hasServer } from '../net/sent.js';
import { commit, showView } from '../state/actions.js';
import { openingView, trainedView } from '../state/address.js';
import { boot } from '../state/boot.js';
import * as state from '../state/signals.js';
import { appliesTo, settingOf } from '../state/spec.js';
import { html, memo } from '../ui/html.js';
import { settingsOpened } from '../ui/opened.js';
import { CursorRow } from './cursor.js';
import { RangeInput } from './fields.js';

/** @typedef {import('../../types').Field} Field */

const DRIFT = 'connection.noise';
const PATHS = ['depth', 'connection.streams', DRIFT];

/** Render the sliders of the first screen. */
export function Sliders() {
  return html`
    <section class="sliders" aria-label="Sliders">
      ${PATHS.map((path) => html`<${Slider} key=${path} field=${state.fields.value.get(path)} />`)}
      <div class="sliders-more">
        ${hasServer ? html`<button type="button" class="quiet dice" onClick=${setRandomSeed} title="Draw the weights and the noise again with another seed">Another seed</button>` : null}
        <button type="button" class="quiet onward" onClick=${() => (settingsOpened.value = true)} title="All settings and the compared runs (key: e)">All settings</button>
      </div>
    </section>
    ${hasServer ? null : html`<${SiteNote} />`}
    <${CursorRow} />
  `;
}

/** Set a random seed for all runs. */
function setRandomSeed() {
  commit(() => state.setBase('seed', crypto.getRandomValues(new Uint16Array(1))[0]));
}

const COMMON = { kind: '', own: {} };

/** Render a slider; reserves its space until the schema is loaded. */
const Slider = memo(function Slider(/** @type {{field: Field | undefined}} */ { field }) {
  if (!field) return html`<div class="slider"></div>`;
  return html`<${KnownSlider} field=${field} />`;
});

/** Return whether training instead of noise moves the mixing of the runs. @param {Field} field of the noise */
function isOfTraining(field) {
  const { value: fields } = state.fields;
  const { value: view } = state.settings;
  const isNoisy = view.runs.some((run) => appliesTo(fields, view, run, field) && settingOf(view, run, field) !== 0);
  return !isNoisy && state.specs.value.some((spec) => spec.train?.steps > 0);
}

/** Render the switch to trained runs, and back to the previous view. @param {{isTrained: boolean}} props */
function TrainedSwitch({ isTrained }) {
  const { value: view } = state.settings;
  const before = useRef(/** @type {import('../../types').View | null} */ (null));
  useEffect(() => {
    if (!isTrained) before.current = view;
  }, [isTrained, view]);
  const toggleTraining = () => showView(isTrained ? (before.current ?? openingView()) : trainedView());
  return html`<button type="button" class="slider-switch" role="switch" aria-checked=${isTrained} aria-label="Trained stacks instead of noise"
    title="Compare stacks whose mixing training has moved, without noise" onClick=${toggleTraining}>mixing: <span class=${isTrained ? '' : 'on'}>noise</span> | <span class=${isTrained ? 'on' : ''}>trained</span></button>`;
}

/** Render how far training moved the mixing of each run. */
function TrainedDrift() {
  state.dataTick.value;
  const { value: slots } = state.slots;
  const names = toNames(slots.map(({ label }) => label));
  const found = slots.flatMap(({ columns }, run) => {
    const drift = measureDrift(columns);
    return drift === null
      ? []
      : [{ steps: trainSteps(columns), text: `${names[run]} ${Number(drift.toPrecision(2))}` }];
  });
  const drifts = found.map(({ text }) => text).join(', ');
  return html`<p class="slider-measured" title="Root mean square change of the entries of H_res from the start to the end of training">${drifts ? html`<span>Drift of H_res after ${found[0].steps} steps:</span> ${drifts}` : 'Measured after training'}</p>`;
}

/** Render a slider; drift is either noise set by the slider, or measured after training. The help is hidden while the slider moves. @param {{field: Field}} props */
function KnownSlider({ field }) {
  const { path } = field;
  const isTrained = useComputed(() => path === DRIFT && isOfTraining(field)).value;
  const id = `field-${path.replaceAll('.', '-')}`;
  const [isMoved, setIsMoved] = useState(false);
  const error = useComputed(() => state.fieldErrors.value.get(path)).value;
  const name = isTrained ? html`<span>${field.title}</span>` : html`<label for=${id}>${field.title}</label>`;
  return html`
    <div class=${`slider ${error ? 'wrong' : ''} ${isMoved ? 'moved' : ''}`} data-path=${path} onInput=${() => setIsMoved(true)} onFocusOut=${() => setIsMoved(false)}>
      <span class="slider-name">${name} ${path === DRIFT ? html`<${TrainedSwitch} isTrained=${isTrained} />` : null}</span>
      ${isTrained ? html`<${TrainedDrift} />` : html`<${SliderRow} field=${field} id=${id} />`}
      ${error ? html`<p class="error" role="alert">${error}</p>` : null}
    </div>
  `;
}

/** Render the value, slider and help of a setting. @param {{field: Field, id: string}} props */
function SliderRow({ field, id }) {
  const { path } = field;
  const value = useComputed(() => settingOf(state.settings.value, COMMON, field)).value;
  const isUsed = useComputed(() =>
    state.settings.value.runs.some((choice) => appliesTo(state.fields.value, state.settings.value, choice, field)),
  ).value;
  return html`
    <output for=${id}>${isUsed ? formatSetting(value, field) : '–'}</output>
    <${RangeInput} field=${field} id=${id} value=${value} set=${(/** @type {number} */ next) => state.setBase(path, next)} describedBy=${`${id}-help`} isDisabled=${!isUsed} />
    <p class="slider-help" role="tooltip" id=${`${id}-help`}>${field.description}</p>
  `;
}

/** Format the value of a setting with the decimals of its step, so that digits do not jump. @param {any} value @param {Field} field */
function formatSetting(value, field) {
  const decimals = String(field.step ?? 1).split('.')[1]?.length ?? 0;
  const text = Number(value).toFixed(decimals);
  return Number(text) === value ? text : String(value);
}

const COMPUTE = html`Run <code>mhc-scope serve</code> to compute`;

/** Render the note of a static site on what works without a server. */
function SiteNote() {
  return html`<p class="hint site-note" role="status">${describeMissing() ?? describeStops()}</p>`;
}

/** Describe what is missing for these settings; null if nothing is. */
function describeMissing() {
  const { value: phase } = state.phase;
  if (phase === 'unconfirmed') return html`This page has no server. ${COMPUTE} this.`;
  const isPartial = phase === 'idle' && state.slots.value.some(({ id, derived }) => id === '' && derived !== null);
  return isPartial
    ? html`This page has no server: only the gains of these settings are known. ${COMPUTE} the dimmed figures.`
    : null;
}

/** Describe what the sliders of a static site can do without a server. */
function describeStops() {
  const hasGrid = Object.keys(boot.site?.grid ?? {}).length > 0;
  return `This page has no server: ${hasGrid ? 'its sliders stop at settings that were computed before.' : 'its sliders move the gains alone.'}`;
}
