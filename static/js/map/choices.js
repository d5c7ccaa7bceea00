/** Choices of a sweep: two settings with values, the varied run, and the drawn number. */

import { useState } from 'preact/hooks';
import * as state from '../state/signals.js';
import { isFilling, showMap, stopMap } from '../state/sweeper.js';
import { mapFields, parseValues, REDUCTIONS, toAxis } from '../state/view/grid.js';
import { TRACE } from '../state/view/spec.js';
import { useDraft } from '../ui/draft.js';
import { html } from '../ui/html.js';

/** @typedef {import('../../types').MapChoice} MapChoice */

const TABLES = ['layers', 'matrices', 'steps', 'jacobian'];
const GROUPS = /** @type {Record<string, string>} */ ({
  forward: 'Forward pass',
  backward: 'Backward pass',
  mixing: 'Composites',
  similarity: 'Similarity',
  step: 'Training',
  jacobian: 'Jacobian',
});

/** Render the choices of a sweep: run, fields and values, metric, reduction. @param {{map: MapChoice, metrics: import('../../types').Metric[], change: (map: MapChoice) => void}} props */
export function MapChoices({ map, metrics, change }) {
  const {
    fields: { value: fields },
    view: { value: view },
  } = state;
  const known = mapFields(fields, view, map.run);
  /** Change the grid, which cancels a running sweep. @param {Partial<MapChoice>} part */
  const set = (part) => {
    if (isFilling.value) void stopMap(map);
    change({ ...map, ...part });
  };
  /** Show another number of the same runs. @param {Partial<MapChoice>} part */
  const see = (part) => {
    const next = { ...map, ...part };
    change(next);
    void showMap(next);
  };
  const setRun = (/** @type {number} */ run) => {
    const allowed = mapFields(fields, view, run).map((field) => field.path);
    const x = allowed.includes(map.x.path) ? map.x : toAxis(fields, 'depth');
    change({ ...map, run, x, y: map.y && allowed.includes(map.y.path) && map.y.path !== x.path ? map.y : undefined });
  };
  const drawable = metrics.filter((item) => TABLES.includes(item.table));
  const frames = [...new Set(drawable.map((item) => item.frame))];
  return html`
    <div class="map-choices">
      <${AxisChoice} name="x axis" axis=${map.x} known=${known.filter((field) => field.path !== map.y?.path)} set=${(/** @type {any} */ x) => set({ x })} />
      <${AxisChoice} name="y axis" axis=${map.y} known=${known.filter((field) => field.path !== map.x.path)} isOptional set=${(/** @type {any} */ y) => set({ y })} />
      <label class="map-choice">Run
        <select value=${map.run} onChange=${(/** @type {any} */ event) => setRun(Number(event.target.value))}>
          ${state.labels.value.map((label, run) => (view.runs[run].kind === TRACE ? null : html`<option value=${run} selected=${run === map.run}>${label}</option>`))}
        </select></label>
      <label class="map-choice">Metric
        <select value=${map.metric} onChange=${(/** @type {any} */ event) => see({ metric: event.target.value })}>
          ${frames.map(
            (frame) => html`
            <optgroup label=${GROUPS[frame] ?? frame}>
              ${drawable.filter((item) => item.frame === frame).map((item) => html`<option value=${item.key} selected=${item.key === map.metric}>${item.title}</option>`)}
            </optgroup>`,
          )}
        </select></label>
      <label class="map-choice">Aggregate
        <select value=${map.reduce} onChange=${(/** @type {any} */ event) => see({ reduce: event.target.value })}>
          ${Object.entries(REDUCTIONS).map(([key, title]) => html`<option value=${key} selected=${key === map.reduce}>${title}</option>`)}
        </select></label>
    </div>
  `;
}

/** Render the choice of a field of the sweep and of its values. @param {{name: string, axis: MapChoice['y'], known: import('../../types').Field[], isOptional?: boolean, set: (axis: MapChoice['y']) => void}} props */
function AxisChoice({ name, axis, known, isOptional = false, set }) {
  const [isWrong, setIsWrong] = useState(false);
  const choose = (/** @type {any} */ event) => {
    setIsWrong(false);
    set(event.target.value ? toAxis(state.fields.value, event.target.value) : undefined);
  };
  const enter = (/** @type {any} */ event) => {
    const values = parseValues(event.target.value);
    setIsWrong(values === null);
    if (values && axis) set({ ...axis, values });
  };
  const draft = useDraft(axis?.values.join(', ') ?? '', enter);
  const unit = state.fields.value.get(axis?.path ?? '')?.unit;
  return html`
    <fieldset class="map-axis">
      <legend>${name}</legend>
      <select aria-label=${`${name}: setting`} value=${axis?.path ?? ''} onChange=${choose}>
        ${isOptional ? html`<option value="" selected=${!axis}>none</option>` : null}
        ${known.map((field) => html`<option value=${field.path} selected=${field.path === axis?.path}>${field.title}</option>`)}
      </select>
      ${axis ? html`<input type="text" aria-label=${`${name}: values`} title=${unit} aria-invalid=${isWrong} ...${draft} />` : null}
      ${isWrong ? html`<p class="error" role="alert">Enter numbers, separated by commas.</p>` : null}
    </fieldset>
  `;
}
