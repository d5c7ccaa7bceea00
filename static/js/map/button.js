/** What opens the map, which itself is loaded when it is asked for. */

import { signal } from '@preact/signals';
import { noteView } from '../state/actions.js';
import { boot } from '../state/boot.js';
import * as state from '../state/signals.js';
import { storedMap } from '../state/sweeper.js';
import { defaultMap } from '../state/view/grid.js';
import { html } from '../ui/html.js';

/** @typedef {import('../../types').MapChoice} MapChoice */

/** A link's map begins by itself; a hand's waits for the button, for its choice may not be the one that is wanted. */
export const isByHand = signal(false);

export function SweepButton() {
  const title = state.isOfTraces.value
    ? 'A trace has no spec, whose settings a map could vary'
    : 'One number of every run on a grid of two settings';
  return html`<button type="button" class="quiet" title=${title} disabled=${state.isOfTraces.value} onClick=${open}>Sweep</button>`;
}

function open() {
  isByHand.value = true;
  change(storedMap() ?? defaultMap(state.fields.value, state.view.value, boot.rules));
}

/** @param {MapChoice | undefined} map */
export function change(map) {
  const { map: _, ...rest } = state.view.value;
  state.view.value = map ? { ...rest, map } : rest;
  noteView();
}
