/** The page: reads what the server offers, shows it, and keeps view, address and runs in step. */

import { render } from 'preact';
import { PanelCard } from './cards/card.js';
import { CostCard } from './cards/costs.js';
import { Story } from './cards/story.js';
import { VerifyDialog } from './cards/verify.js';
import { ApiDialog } from './controls/apicard.js';
import { Gallery, presets } from './controls/gallery.js';
import { HelpDialog } from './controls/help.js';
import { followKeys } from './controls/keys.js';
import { followPlay } from './controls/play.js';
import { Scrubber } from './controls/scrubber.js';
import { Settings } from './controls/settings.js';
import { ShareDialog } from './controls/sharedialog.js';
import { TopBar } from './controls/topbar.js';
import { Tour } from './controls/tour.js';
import { followPrint } from './figures/print.js';
import { MapDialog } from './map/map.js';
import { ApiError, getPresets, getSchema, insist } from './net/api.js';
import { footLine } from './share/export.js';
import { openAddress } from './state/actions.js';
import { boot } from './state/boot.js';
import { followLook } from './state/look.js';
import * as state from './state/signals.js';
import { toFields } from './state/spec.js';
import { Toast } from './ui/clipboard.js';
import { html } from './ui/html.js';

function App() {
  return html`
    <${TopBar} />
    <${Banner} />
    <div class="columns">
      <${Settings} />
      <main>
        <${Story} />
        <${Panels} />
      </main>
    </div>
    <${Scrubber} />
    <${PrintedFoot} />
    <${ShareDialog} /><${ApiDialog} /><${HelpDialog} /><${VerifyDialog} /><${MapDialog} /><${Gallery} /><${Tour} />
    <p class="sr" role="status" aria-live="polite">${state.spoken.value}</p>
    <${Toast} />
  `;
}

/** All cards; that of training where a run trains. */
function Panels() {
  return html`<div class="panels">${state.shownPanels.value.map((panel) => html`<${PanelCard} key=${panel.key} panel=${panel} />`)}<${CostCard} /></div>`;
}

/** Refusals, notes on the address, and the mark of a stored view. */
function Banner() {
  const { value: problem } = state.problem;
  const { value: stored } = state.snapshot;
  const notices = [...state.notices.value, ...state.unknownCards.value];
  return html`
    <div class="banners">
      ${problem ? html`<div class="banner bad" role="alert"><b>${problem.title}.</b> ${problem.message}</div>` : null}
      ${
        notices.length > 0
          ? html`<div class="banner bad" role="alert"><b>Not all of this link could be read.</b> ${notices.join('; ')}
        <button type="button" class="icon" aria-label="Close" onClick=${state.forgetNotices}>✕</button></div>`
          : null
      }
      ${
        stored
          ? html`<div class="banner" role="status"><b>A stored view</b>${stored.title && stored.title !== state.labels.value.join(', ') ? html`, <b>${stored.title}</b>,` : ''} of ${new Date(stored.created_at).toLocaleDateString()}: the numbers are those that were
        shared. ${state.hasTrace.value ? 'A trace has no spec: it is left out when you change anything to compute anew.' : 'Change anything to compute anew.'}
        ${stored.note ? html`<p class="stored-note">${stored.note}</p>` : null}</div>`
          : null
      }
    </div>
  `;
}

/** On paper nothing else says what was computed. */
function PrintedFoot() {
  state.dataTick.value;
  return html`<p class="only-print">${footLine()}</p>`;
}

/** @param {unknown} error */
function fail(error) {
  if (!(error instanceof ApiError)) throw error;
  state.problem.value = error;
}

async function main() {
  const root = /** @type {HTMLElement} */ (document.getElementById('app'));
  root.replaceChildren(); // Preact would leave the word that it is loading
  render(html`<${App} />`, root);
  followLook(fail);
  followKeys();
  followPlay();
  followPrint();
  const wait = (/** @type {ApiError} */ error) => {
    state.problem.value = error;
    return true;
  };
  insist(getPresets, wait).then((found) => {
    presets.value = found;
  }, fail);
  try {
    state.fields.value = toFields(await insist(getSchema, wait));
    state.problem.value = null;
  } catch (error) {
    return fail(error);
  }
  openAddress(boot.snapshot);
  // Back and Forward, and a hash that someone edits.
  addEventListener('popstate', () => openAddress(boot.snapshot));
}

void main();
