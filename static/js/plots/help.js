/** The help of a figure: what it shows, and how to read it. */

import { html, memo } from '../ui/html.js';
import { Popover } from '../ui/menu.js';
import { linkPapers } from '../ui/papers.js';

/** A panel, or the picture. @typedef {Pick<import('../../types').Panel, 'title' | 'meaning' | 'help'>} About */

export const PanelHelp = memo((/** @type {{panel: About}} */ { panel }) => {
  const { formula, reading, symbol, source } = panel.help;
  return html`
    <${Popover} label=${`${panel.title}: what it shows`} sign="?">
      <h3>${panel.title}</h3>
      <p>${panel.meaning}</p>
      <p>${reading}</p>
      <dl><dt>Formula</dt><dd class="formula">${formula}</dd><dt>Symbol</dt><dd class="formula">${symbol}</dd><dt>Source</dt><dd>${linkPapers(source)}</dd></dl>
    <//>
  `;
});
