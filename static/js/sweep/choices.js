/** Choices of a sweep: two settings with values, the varied run, and the drawn number. */

import { useState } from 'preact/hooks';
import * as state from '../state/signals.js';
import { TRACE } from '../state/spec.js';
import { parseValues, REDUCTIONS, sweepableFields, toAxis } from '../state/sweep.js';
import { isFilling, showSweep, stopSweep } from '../state/sweeper.js';
import { useDraft } from '../ui/draft.js';
import { html } from '../ui/html.js';

/** @typedef {import('../../types').SweepChoice} SweepChoice */

const TABLES = ['layers', 'matrices', 'steps', 'jacobian'];
const GROUPS = /** @type {Record<string, string>} */ ({
  forward: 'Forward pass',
  backward: 'Backward pass',
  mixing: 'Composites',
  similarity: 'Similarity',
  step: 'Training',
  jacobian: 'Jacobian',
});

/** Render the choices of a sweep: run, fields and values, metric, reduction. @param {{sweep: SweepChoice, metrics: import('../../types').Metric[], change: (sweep: SweepChoice) => void}} props */
export function SweepChoices({ sweep, metrics, change }) {
  const {
    fields: { value: fields },
    view: { value: view },
  } = state;
  const known = sweepableFields(fields, view, sweep.run);
  /** Change the grid, which cancels a running sweep. @param {Partial<SweepChoice>} part */
  const set = (part) => {
    if (isFilling.value) void stopSweep(sweep);
    change({ ...sweep, ...part });
  };
  /** Show another number of the same runs. @param {Partial<SweepChoice>} part */
  const see = (part) => {
    const next = { ...sweep, ...part };
    change(next);
    void showSweep(next);
  };
  const setRun = (/** @type {number} */ run) => {
    const allowed = sweepableFields(fields, view, run).map((field) => field.path);
    const x = allowed.includes(sweep.x.path) ? sweep.x : toAxis(fields, 'depth');
    change({
      ...sweep,
      run,
      x,
      y: sweep.y && allowed.includes(sweep.y.path) && sweep.y.path !== x.path ? sweep.y : undefined,
    });
  };
  const drawable = metrics.filter((item) => TABLES.includes(item.table));
  const frames = [...new Set(drawable.map((item) => item.frame))];
  return html`
    <div class="sweep-choices">
      <${AxisChoice} name="x axis" axis=${sweep.x} known=${known.filter((field) => field.path !== sweep.y?.path)} set=${(/** @type {any} */ x) => set({ x })} />
      <${AxisChoice} name="y axis" axis=${sweep.y} known=${known.filter((field) => field.path !== sweep.x.path)} isOptional set=${(/** @type {any} */ y) => set({ y })} />
      <label class="sweep-choice">Run
        <select value=${sweep.run} onChange=${(/** @type {any} */ event) => setRun(Number(event.target.value))}>
          ${state.labels.value.map((label, run) => (view.runs[run].kind === TRACE ? null : html`<option value=${run} selected=${run === sweep.run}>${label}</option>`))}
        </select></label>
      <label class="sweep-choice">Metric
        <select value=${sweep.metric} onChange=${(/** @type {any} */ event) => see({ metric: event.target.value })}>
          ${frames.map(
            (frame) => html`
            <optgroup label=${GROUPS[frame] ?? frame}>
              ${drawable.filter((item) => item.frame === frame).map((item) => html`<option value=${item.key} selected=${item.key === sweep.metric}>${item.title}</option>`)}
            </optgroup>`,
          )}
        </select></label>
      <label class="sweep-choice">Aggregate
        <select value=${sweep.reduce} onChange=${(/** @type {any} */ event) => see({ reduce: event.target.value })}>
          ${Object.entries(REDUCTIONS).map(([key, title]) => html`<option value=${key} selected=${key === sweep.reduce}>${title}</option>`)}
        </select></label>
    </div>
  `;
}

/** Render the choice of a field of the sweep and of its values. @param {{name: string, axis: SweepChoice['y'], known: import('../../types').Field[], isOptional?: boolean, set: (axis: SweepChoice['y']) => void}} props */
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
    <fieldset class="sweep-axis">
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
