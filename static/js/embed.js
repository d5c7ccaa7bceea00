/** One panel of stored runs, to stand in another page's frame. */

import { render } from 'preact';
import { getPanels, getSchema } from './api.js';
import { PanelCard } from './card.js';
import { Toast } from './clipboard.js';
import { fromHash } from './hash.js';
import { html } from './html.js';
import { readSpec, showStored } from './runner.js';
import { fromSpecs, toFields } from './spec.js';
import * as state from './state.js';

async function main() {
  const boot = /** @type {import('../types').Boot} */ (JSON.parse(document.getElementById('boot')?.textContent ?? '{}'));
  const runs = boot.runs ?? [];
  const [schema, templates, specs] = await Promise.all([
    getSchema(),
    getPanels(runs.length, boot.theme ?? 'light'),
    Promise.all(runs.map(readSpec)),
  ]);
  state.fields.value = toFields(schema);
  state.templates.value = templates;
  const shared = fromHash(boot.state ?? '', state.fields.value).view;
  const view = fromSpecs(state.fields.value, specs);
  const named = view.runs.map((choice, run) => (shared.runs[run]?.name ? { ...choice, name: shared.runs[run].name } : choice));
  const { base: _, runs: __, map: ___, ...look } = shared;
  state.view.value = { ...view, ...look, runs: named };
  const panel = templates.panels.find((item) => item.key === boot.panel);
  const root = /** @type {HTMLElement} */ (document.getElementById('app'));
  root.replaceChildren();
  const card = panel ? html`<${PanelCard} panel=${panel} level="h1" />` : html`<p class="error">There is no panel ${boot.panel}.</p>`;
  render(html`<main>${card}</main><${Toast} />`, root);
  showStored(runs, state.labels.value);
}

void main();
