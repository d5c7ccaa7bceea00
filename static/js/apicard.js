/** The calls that make exactly this view: curl, Python, JSON. */

import { signal } from '@preact/signals';
import { html } from './html.js';
import { CopyText, Dialog } from './menu.js';
import { toSnippets } from './snippets.js';
import * as state from './state.js';

const isOpen = signal(false);
const chosen = signal('curl');

export function ApiButton() {
  return html`<button type="button" onClick=${() => (isOpen.value = true)}>API</button>`;
}

export function ApiDialog() {
  return html`
    <${Dialog} title="This view over HTTP" isOpen=${isOpen.value} onClose=${() => (isOpen.value = false)}>
      <${Snippets} />
      <p class="hint">All routes and fields: <a href="/docs">/docs</a>. Machine-readable: <a href="/openapi.json">/openapi.json</a>.</p>
    <//>
  `;
}

function Snippets() {
  const snippets = toSnippets(location.origin, state.specs.value);
  const shown = snippets.find((item) => item.key === chosen.value) ?? snippets[0];
  return html`
    <div class="segments" role="group" aria-label="Language">
      ${snippets.map((item) => html`<button type="button" aria-pressed=${item === shown} onClick=${() => (chosen.value = item.key)}>${item.title}</button>`)}
    </div>
    <${CopyText} key=${shown.key} text=${shown.text} label=${shown.title} />
  `;
}
