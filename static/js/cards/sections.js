/** All other figures. */

import { origin } from '../state/presets.js';
import * as state from '../state/signals.js';
import { html } from '../ui/html.js';
import { PanelCard } from './card.js';
import { CostCard } from './costs.js';
import { STRIP } from './strip.js';

export function Sections() {
  if (!state.templates.value) return null; // all at once: a card that came first would be moved by the others
  const others = state.shownPanels.value.filter(({ key }) => !STRIP.includes(key) && key !== origin.value?.panel);
  return html`<div class="panels sections">${others.map((panel) => html`<${PanelCard} key=${panel.key} panel=${panel} />`)}<${CostCard} /></div>`;
}
