/** The API dialog: calls that create this view, for curl and Python, and the specs as JSON. */

import { signal } from '@preact/signals';
import { ROOT } from '../net/sent.js';
import { figureQuery } from '../share/export.js';
import { toSnippets } from '../share/snippets.js';
import * as state from '../state/signals.js';
import { html } from '../ui/html.js';
import { CopyText, Dialog } from '../ui/menu.js';
import { closeDialog, opened } from '../ui/opened.js';

const chosen = signal('curl');

/** Render the dialog with the API calls behind the view. */
export function ApiDialog() {
  return html`
    <${Dialog} title="API calls for this view" isOpen=${opened.value === 'api'} onClose=${closeDialog}>
      <${Snippets} />
      <p class="hint">Full reference: <a href=${`${ROOT}/docs`}>/docs</a>. OpenAPI: <a href=${`${ROOT}/openapi.json`}>/openapi.json</a>.</p>
    <//>
  `;
}

/** The panel whose figure the calls request. */
const pictured = signal('gain');

/** Return ids, recordings and figure of the view for the snippets. @param {import('../../types').Panel} panel @returns {import('../share/snippets.js').Shown} */
function toSnippetSource(panel) {
  const isShown = state.phase.value === 'idle'; // otherwise the ids are those of earlier runs
  return {
    ids: isShown ? state.slots.value.map((slot) => slot.id) : null,
    traces: state.settings.value.runs.map(({ trace }) => trace ?? null),
    snapshot: state.snapshot.value?.id ?? null,
    panel: panel.key,
    query: figureQuery(panel),
  };
}

/** Render the calls in a chosen language, with a chosen figure and a button that copies them. */
function Snippets() {
  const panels = state.shownPanels.value;
  const panel = panels.find((item) => item.key === pictured.value) ?? panels[0];
  if (!panel) return html`<p class="hint">…</p>`;
  const snippets = toSnippets(location.origin + ROOT, state.specs.value, toSnippetSource(panel));
  const shown = snippets.find((item) => item.key === chosen.value) ?? snippets[0];
  return html`
    <div class="api-choices">
      <div class="segments" role="group" aria-label="Language">
        ${snippets.map((item) => html`<button type="button" aria-pressed=${item === shown} onClick=${() => (chosen.value = item.key)}>${item.title}</button>`)}
      </div>
      <label>with the figure <select value=${panel.key} onChange=${(/** @type {any} */ event) => (pictured.value = event.target.value)}>
        ${panels.map((item) => html`<option value=${item.key}>${item.title}</option>`)}
      </select></label>
    </div>
    <${CopyText} key=${shown.text} text=${shown.text} label=${shown.title} />
  `;
}
