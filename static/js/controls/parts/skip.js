/** The first two stops of Tab: past the bar and the settings, to what people come for. */

import { html } from '../../ui/html.js';

const FIGURES = 'main :is(.panel, .picture-card)';
const SETTINGS = '#field-depth';

export function SkipLinks() {
  return html`
    <nav class="skip" aria-label="Skip">
      <a href="#panel-picture" onClick=${(/** @type {Event} */ event) => skip(event, FIGURES)}>Skip to the figures</a>
      <a href="#settings" onClick=${(/** @type {Event} */ event) => skip(event, SETTINGS)}>Skip to the settings</a>
    </nav>
  `;
}

/** The address is that of the view: the link only moves the focus. @param {Event} event @param {string} place */
function skip(event, place) {
  event.preventDefault();
  const target = /** @type {HTMLElement | null} */ (document.querySelector(place));
  const sheet = /** @type {HTMLElement | null | undefined} */ (target?.closest('[popover]'));
  if (sheet && !sheet.checkVisibility()) sheet.showPopover(); // on a phone settings are closed
  if (!target) return;
  if (!target.matches('input')) target.tabIndex = -1;
  target.focus();
}
