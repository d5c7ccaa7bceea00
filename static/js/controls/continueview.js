/** A line on the first screen that offers to resume the last visit's view, with Back for its earlier steps. It stays until used or closed, so that nothing moves under the pointer. */

import { signal } from '@preact/signals';
import { ROOT } from '../net/sent.js';
import { openAddress } from '../state/actions.js';
import { boot } from '../state/boot.js';
import * as state from '../state/signals.js';
import { previousSteps, resumeTrail } from '../state/trail.js';
import { notify } from '../ui/clipboard.js';
import { html } from '../ui/html.js';
import { titleOfView, viewAt } from './viewreading.js';

const HOME = `${ROOT}/`;
const left = previousSteps();
const isOffered = signal(location.pathname === HOME && location.hash === '' && left.length > 0 && left.at(-1) !== HOME);

/** Show the view of the last visit, with the steps before it in the history. */
function resumeView() {
  isOffered.value = false;
  resumeTrail();
  openAddress(boot.snapshot);
  if (left.length > 1) notify(`Back undoes up to ${left.length - 1} earlier ${left.length === 2 ? 'step' : 'steps'}`);
}

/** Render the button that resumes the view of the last visit. */
export function Continue() {
  if (!isOffered.value) return null;
  const title = state.fields.value.size > 0 ? titleOfView(viewAt(/** @type {string} */ (left.at(-1)))) : '';
  return html`
    <p class="continue">
      <button type="button" onClick=${resumeView}>Resume</button>
      <span class="hint">${title}</span>
      <button type="button" class="icon" aria-label="Dismiss" title="Close" onClick=${() => (isOffered.value = false)}>✕</button>
    </p>
  `;
}
