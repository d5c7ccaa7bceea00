/** The four charts below the picture. */

import * as state from '../state/signals.js';
import { html } from '../ui/html.js';
import { PanelCard } from './card.js';

export const STRIP = ['gain', 'activation', 'gradient'];

export function Strip() {
  if (!state.templates.value) return null;
  const panels = state.shownPanels.value.filter(({ key }) => STRIP.includes(key));
  return html`<div class="panels strip">${panels.map((panel) => html`<${PanelCard} key=${panel.key} panel=${panel} />`)}</div>`;
}
