/** The button that opens the sweep; its dialog is loaded on first use. */

import { signal } from '@preact/signals';
import { updateAddress } from '../state/actions.js';
import { isSweepStep, pushSweep } from '../state/address.js';
import { boot } from '../state/boot.js';
import * as state from '../state/signals.js';
import { defaultSweep } from '../state/sweep.js';
import { snapshotSweep } from '../state/sweeper.js';
import { html } from '../ui/html.js';

/** @typedef {import('../../types').SweepChoice} SweepChoice */

/** Whether a sweep waits for its button: a sweep opened on the page does, as the user may change it; a sweep of a link is computed immediately. */
export const waitsForButton = signal(false);
addEventListener('popstate', () => (waitsForButton.value = true));

/** Render the button that opens the dialog of a sweep. */
export function SweepButton() {
  const title = state.hasOnlyRecordings.value
    ? 'A recording has no settings to vary'
    : 'Compute one number of a run over a grid of two settings';
  return html`<button type="button" class="quiet sweep" title=${title} disabled=${state.hasOnlyRecordings.value} onClick=${openSweep}>Sweep</button>`;
}

/** Open the dialog of a sweep with the initial or last choices. */
export function openSweep() {
  waitsForButton.value = true;
  const sweep = snapshotSweep() ?? defaultSweep(state.fields.value, state.view.value, boot.rules);
  state.changeView({ sweep });
  pushSweep(state.view.value);
}

/** Close the sweep; like Back if opening it added a history entry. */
export function closeSweep() {
  if (isSweepStep()) history.back();
  else changeSweep(undefined);
}

/** Change the choices of the sweep, and write them into the address. @param {SweepChoice | undefined} sweep */
export function changeSweep(sweep) {
  state.changeView({ sweep });
  updateAddress();
}
