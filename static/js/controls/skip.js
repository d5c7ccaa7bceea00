/** Skip links past the top bar, first in the Tab order. */

import { html } from '../ui/html.js';

const FIGURES = 'main :is(.panel, .picture-card)';
const SLIDERS = '#field-depth';

/** Render links with which keyboard users skip to the main parts of the page. */
export function SkipLinks() {
  return html`
    <nav class="skip" aria-label="Skip">
      <a href="#panel-picture" onClick=${(/** @type {Event} */ event) => focusPart(event, FIGURES)}>Skip to the figures</a>
      <a href="#field-depth" onClick=${(/** @type {Event} */ event) => focusPart(event, SLIDERS)}>Skip to the sliders</a>
    </nav>
  `;
}

/** Move the focus to a part of the page without changing the address, which belongs to the view. @param {Event} event @param {string} place */
function focusPart(event, place) {
  event.preventDefault();
  const target = /** @type {HTMLElement | null} */ (document.querySelector(place));
  if (!target) return;
  if (!target.matches('input')) target.tabIndex = -1;
  target.focus();
}
