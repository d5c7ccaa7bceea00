/** The three sliders below the picture, another seed, and the way to all settings. */

import { useComputed } from '@preact/signals';
import { commit } from '../state/actions.js';
import * as state from '../state/signals.js';
import { appliesTo, settingOf } from '../state/view/spec.js';
import { html, still } from '../ui/html.js';
import { openSettings } from '../ui/opened.js';
import { CursorRow } from './cursor.js';
import { RangeInput } from './fields.js';

/** @typedef {import('../../types').Field} Field */

const PATHS = ['depth', 'connection.streams', 'connection.noise'];

export function Sliders() {
  return html`
    <section class="sliders" aria-label="Sliders">
      ${PATHS.map((path) => html`<${Slider} key=${path} field=${state.fields.value.get(path)} />`)}
      <div class="sliders-more">
        <button type="button" class="quiet dice" onClick=${rollSeed} title="Draw the weights and the noise again with another seed">Another seed</button>
        <button type="button" class="quiet onward" onClick=${() => openSettings()} title="All settings and the compared runs (key: e)">All settings</button>
      </div>
    </section>
    <${CursorRow} />
  `;
}

/** Every run gets the new seed. */
export function rollSeed() {
  commit(() => state.setBase('seed', crypto.getRandomValues(new Uint16Array(1))[0]));
}

const COMMON = { kind: '', own: {} };

/** Its place is kept until the schema has come. */
const Slider = still(function Slider(/** @type {{field: Field | undefined}} */ { field }) {
  if (!field) return html`<div class="slider"></div>`;
  return html`<${KnownSlider} field=${field} />`;
});

/** @param {{field: Field}} props */
function KnownSlider({ field }) {
  const { path } = field;
  const id = `field-${path.replaceAll('.', '-')}`;
  const value = useComputed(() => settingOf(state.settings.value, COMMON, field)).value;
  const error = useComputed(() => state.fieldErrors.value.get(path)).value;
  const isUsed = useComputed(() =>
    state.settings.value.runs.some((choice) => appliesTo(state.fields.value, state.settings.value, choice, field)),
  ).value;
  return html`
    <div class=${`slider ${error ? 'wrong' : ''}`} data-path=${path}>
      <label for=${id}>${field.title}</label>
      <output for=${id}>${isUsed ? formatSetting(value, field) : '–'}</output>
      <${RangeInput} field=${field} id=${id} value=${value} set=${(/** @type {number} */ next) => state.setBase(path, next)} describedBy=${`${id}-help`} isDisabled=${!isUsed} />
      <p class="slider-help" role="tooltip" id=${`${id}-help`}>${field.description}</p>
      ${error ? html`<p class="error" role="alert">${error}</p>` : null}
    </div>
  `;
}

/** With as many decimals as its steps have, so that the digits keep their places. @param {any} value @param {Field} field */
function formatSetting(value, field) {
  const decimals = String(field.step ?? 1).split('.')[1]?.length ?? 0;
  const text = Number(value).toFixed(decimals);
  return Number(text) === value ? text : String(value);
}
