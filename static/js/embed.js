/** An embedded card with the runs of a snapshot. */

import { render } from 'preact';
import { PanelCard } from './cards/card.js';
import { CostCard } from './cards/costs.js';
import { FrameSliders } from './cards/framesliders.js';
import { describeError, getSchema, retryWhileBusy } from './net/api.js';
import { PictureCard } from './picture/card.js';
import { followPrint } from './plots/print.js';
import { boot } from './state/boot.js';
import { fromHash } from './state/hash.js';
import { choice, followLook, loadTemplates } from './state/look.js';
import { readSpec, showSnapshot } from './state/runner.js';
import * as state from './state/signals.js';
import { fromSpecs, toFields } from './state/spec.js';
import { followTrainSteps } from './state/trainsteps.js';
import { SweepCard } from './sweep/card.js';
import { Toast } from './ui/clipboard.js';
import { html } from './ui/html.js';

/** @typedef {import('../types').Boot} Boot */

/** The snapshot's view with its sweep; null if it has none. @type {{view: import('../types').View, sweep: import('../types').SweepChoice} | null} */
let sweepView = null;

/** Set up the view of an embedded card: the snapshot's runs, with its names and look. @param {Boot} boot */
async function prepareView({ runs = [], state: hash = '', theme = 'light', panel = '', view, sweep }) {
  choice.value = theme;
  const [schema, templates, specs] = await Promise.all([
    getSchema(),
    loadTemplates(runs.length, theme),
    Promise.all(runs.map(readSpec)),
  ]);
  state.fields.value = toFields(schema);
  state.templates.value = templates;
  const shared = fromHash(hash, state.fields.value, boot.rules).view;
  if (sweep && shared.sweep) sweepView = { view: shared, sweep: shared.sweep };
  const found = fromSpecs(state.fields.value, specs);
  const named = found.runs.map((choice, run) =>
    shared.runs[run]?.name ? { ...choice, name: shared.runs[run].name } : choice,
  );
  const { base: _, runs: __, sweep: ___, ...look } = shared;
  const cards = view ? { ...look.cards, [panel]: view } : look.cards;
  state.view.value = { ...found, ...look, runs: named, ...(cards ? { cards } : {}) };
}

/** Render why the embedded figure is incomplete. */
function Problems() {
  state.dataTick.value;
  const lost = state.isConnected.value ? [] : ['Connection to the server lost. Retrying every second.'];
  const ended = state.slots.value.flatMap(({ columns: { end }, label }) => (end ? describeEnd(label, end) : []));
  const words = [...lost, ...ended];
  return words.length > 0 ? html`<p class="error" role="alert">${words.join(' ')}</p>` : null;
}

/** Describe the end of a run that is not done. @param {string} label @param {NonNullable<import('../types').Columns['end']>} end */
function describeEnd(label, end) {
  if (end.status === 'failed') return [`Run ${label} failed: ${end.reason}. Results so far are shown.`];
  return end.status === 'cancelled' ? [`Run ${label} was cancelled. Results so far are shown.`] : [];
}

/** Render the embedded card. @param {{panelKey: string | undefined, sweep: Boot['sweep']}} props */
function EmbeddedCard({ panelKey: key, sweep }) {
  if (key === 'map' && sweep && sweepView)
    return html`<${SweepCard} view=${sweepView.view} sweep=${sweepView.sweep} links=${sweep} />`;
  const panel = state.templates.value?.panels.find((item) => item.key === key);
  if (key === 'picture') return html`<${PictureCard} level="h1" /><${FrameSliders} />`;
  if (key === 'cost') return html`<${CostCard} level="h1" />`;
  if (panel)
    return html`<${PanelCard} panel=${panel} level="h1" />${panel.group === 'training' ? null : html`<${FrameSliders} />`}`;
  const known = state.templates.value?.panels.map((item) => item.key).join(', ');
  return html`<p class="error" role="alert">There is no panel ${key}; there are picture, ${known}, cost${sweepView ? ', map' : ''}.</p>`;
}

/** Start the embedded page: render the card, and follow its runs. */
async function main() {
  const root = /** @type {HTMLElement} */ (document.getElementById('app'));
  const show = (/** @type {any} */ content) => {
    root.querySelector(':scope > .loading')?.remove(); // Preact would keep it
    render(html`<main>${content}<${Problems} /></main><${Toast} />`, root);
  };
  const wait = (/** @type {import('./net/api.js').ApiError} */ error) => {
    const cause = error.status === 0 ? 'The server of this figure cannot be reached' : error.title;
    show(html`<p class="error" role="alert">${cause}. The figure will be shown when it responds.</p>`);
    return true;
  };
  try {
    await retryWhileBusy(() => prepareView(boot), wait);
  } catch (error) {
    return show(html`<p class="error" role="alert">${describeError(error)}</p>`);
  }
  show(html`<${EmbeddedCard} panelKey=${boot.panel} sweep=${boot.sweep} />`);
  showSnapshot(boot.runs ?? [], state.labels.value);
  followLook((error) => {
    throw error; // only the print templates failed to load; the card works without them
  });
  followPrint();
  followTrainSteps(() => true); // the card may be that of training
}

void main();
