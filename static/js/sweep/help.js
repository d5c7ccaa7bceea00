/** Help of the sweep. */

import { html } from '../ui/html.js';
import { Popover } from '../ui/menu.js';
import { READING } from './cells.js';

/** Render how to read the figure of a sweep. @param {{metric: import('../../types').SweepValues['metric']}} props */
export function SweepHelp({ metric }) {
  return html`
    <${Popover} label="Sweep: what it shows" sign="?">
      <h3>Sweep</h3>
      <p>${READING}</p>
      <p>${metric.meaning}</p>
      <dl><dt>Formula</dt><dd class="formula">${metric.formula}</dd><dt>Source</dt><dd>${metric.source}</dd></dl>
    <//>
  `;
}
