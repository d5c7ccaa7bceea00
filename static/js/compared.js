/** The compared runs: each with its line, its connection and, on request, settings of its own. */

import { commit } from './actions.js';
import { Control } from './controls.js';
import { html } from './html.js';
import { KIND, LETTERS, MAX_RUNS, appliesTo, isFixed, nameOf } from './spec.js';
import * as state from './state.js';

/** @typedef {import('../types').RunStyle} RunStyle */

/** Of the papers that brought them. @type {Record<string, string>} */
const YEARS = { residual: '2015', hc: '2024', mhc: '2025', mhc_lite: '2026', kromhc: '2026', frac: '2025' };

/** A sample of a run's line. @param {{style: RunStyle | undefined}} props */
export function Swatch({ style }) {
  if (!style) return html`<svg class="swatch" width="30" height="10" aria-hidden="true"></svg>`;
  const dash = style.dash === 'solid' ? undefined : style.dash.replaceAll('px', '');
  return html`
    <svg class="swatch" width="30" height="10" aria-hidden="true">
      <line x1="1" x2="29" y1="5" y2="5" stroke=${style.color} stroke-width=${style.width} stroke-dasharray=${dash} />
    </svg>
  `;
}

export function Compared() {
  const { runs } = state.view.value;
  return html`
    <section class="compared" aria-label="Compared runs">
      <h2 class="group-title">Compared</h2>
      ${runs.map((choice, run) => html`<${Run} key=${run} choice=${choice} run=${run} isOnly=${runs.length === 1} />`)}
      ${runs.length < MAX_RUNS ? html`<button type="button" class="add" onClick=${() => commit(state.addRun)}>+ Add a run</button>` : null}
    </section>
  `;
}

/** @param {{choice: import('../types').Choice, run: number, isOnly: boolean}} props */
function Run({ choice, run, isOnly }) {
  const letter = LETTERS[run];
  const kinds = state.fields.value.get(KIND)?.options ?? [choice.kind];
  return html`
    <div class="run">
      <div class="row">
        <${Swatch} style=${state.templates.value?.runs[run]} />
        <span class="letter">${letter}</span>
        <select aria-label=${`Connection of run ${letter}`} value=${choice.kind}
          onChange=${(/** @type {any} */ event) => commit(() => state.setKind(run, event.target.value))}>
          ${kinds.map((kind) => html`<option value=${kind} selected=${kind === choice.kind}>${nameOf(kind)}</option>`)}
        </select>
        <span class="year">${YEARS[choice.kind] ?? ''}</span>
        ${isOnly ? null : html`<button type="button" class="icon" aria-label=${`Remove run ${letter}`} onClick=${() => commit(() => state.removeRun(run))}>✕</button>`}
      </div>
      <${OwnSettings} choice=${choice} run=${run} />
    </div>
  `;
}

/** @param {{choice: import('../types').Choice, run: number}} props */
function OwnSettings({ choice, run }) {
  const fields = [...state.fields.value.values()].filter(
    (field) =>
      (field.group === 'connection' || field.path in choice.own) &&
      field.path !== KIND &&
      !isFixed(field) &&
      appliesTo(state.fields.value, state.view.value, choice, field),
  );
  if (fields.length === 0) return null;
  const own = fields.filter((field) => field.path in choice.own);
  const said = own.map((field) => `${field.title.toLowerCase()} ${nameOf(choice.own[field.path])}`).join(', ');
  return html`
    <details class="own"><summary>${said || 'settings of its own'}</summary>
      ${fields.map((field) => html`<${Control} key=${field.path} field=${field} target=${{ run }} />`)}
    </details>
  `;
}
