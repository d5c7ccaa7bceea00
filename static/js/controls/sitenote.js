/** A sentence below the sliders of a page without a server: where they stop, or what is missing. */

import { boot } from '../state/boot.js';
import * as state from '../state/signals.js';
import { html } from '../ui/html.js';

const COMPUTE = html`Run <code>mhc-scope serve</code> to compute`;

/** Render the note of a static site on what works without a server. */
export function SiteNote() {
  return html`<p class="hint site-note" role="status">${describeMissing() ?? describeStops()}</p>`;
}

/** Describe what is missing for these settings; null if nothing is. */
function describeMissing() {
  const { value: phase } = state.phase;
  if (phase === 'unconfirmed') return html`This page has no server. ${COMPUTE} this.`;
  const isPartial = phase === 'idle' && state.slots.value.some(({ id, derived }) => id === '' && derived !== null);
  return isPartial
    ? html`This page has no server: only the gains of these settings are known. ${COMPUTE} the dimmed figures.`
    : null;
}

/** Describe what the sliders of a static site can do without a server. */
function describeStops() {
  const hasGrid = Object.keys(boot.site?.grid ?? {}).length > 0;
  return `This page has no server: ${hasGrid ? 'its sliders stop at settings that were computed before.' : 'its sliders move the gains alone.'}`;
}
