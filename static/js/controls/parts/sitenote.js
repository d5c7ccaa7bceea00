/** One sentence below the sliders of a page without a server: what they show, or what is missing. */

import { boot } from '../../state/boot.js';
import * as state from '../../state/signals.js';
import { html } from '../../ui/html.js';

export function SiteNote() {
  return html`<p class="hint site-note" role="status">${sayMissing() ?? sayGrid()}</p>`;
}

const COMPUTE = html`Run <code>mhc-scope serve</code> to compute`;

/** Why part of the figures, or all of them, belong to other settings; null where none do. */
function sayMissing() {
  if (state.phase.value === 'asking') return html`This page has no server. ${COMPUTE} this.`;
  const isPartial = state.slots.value.some(({ id, known }) => id === '' && known !== null);
  return isPartial ? html`The gains are of these settings; dimmed curves are of others. ${COMPUTE} those.` : null;
}

/** Where all curves are known. */
function sayGrid() {
  const points = Object.entries(boot.site?.grid ?? {}).map(([path, values]) => {
    const title = state.fields.value.get(path)?.title ?? path;
    return `${title} ${values.join(', ')}`;
  });
  if (points.length === 0) return 'This page has no server: sliders move the gains alone.';
  return `This page has no server: sliders move the gains everywhere, and the other curves at ${points.join('; ')}.`;
}
