/** The Help dialog: usage, terms and keys. */

import { GLOSSARY } from '../data/glossary.js';
import { html } from '../ui/html.js';
import { Dialog } from '../ui/menu.js';
import { closeDialog, opened } from '../ui/opened.js';
import { areShortcutsOn, enableShortcuts, SHORTCUTS } from './shortcuts.js';

/** Render the dialog with terms and keyboard shortcuts. */
export function HelpDialog() {
  return html`<${Dialog} title="Help" isOpen=${opened.value === 'help'} onClose=${closeDialog}><${HelpSheet} /><//>`;
}

/** Render terms and keyboard shortcuts, and the switch that turns shortcuts off. */
function HelpSheet() {
  return html`
    <p>Drag a slider, and every figure follows. Each figure explains itself under “?”, and shows its numbers as a table from its menu.</p>
    <h3>Terms</h3>
    <dl class="glossary">${Object.entries(GLOSSARY).map(([term, meaning]) => html`<dt>${term}</dt><dd>${meaning}</dd>`)}</dl>
    <h3>Keys</h3>
    <table class="keys">
      ${SHORTCUTS.map(
        (item) => html`
        <tr><th scope="row">${item.signs.map((sign) => html`<kbd>${sign}</kbd> `)}</th><td>${item.title}</td></tr>
      `,
      )}
    </table>
    <label class="choice"><input type="checkbox" checked=${areShortcutsOn.value}
      onChange=${(/** @type {any} */ event) => enableShortcuts(event.target.checked)} /> Enable keyboard shortcuts</label>
    <p class="hint">Shortcuts are off while you type. Tab reaches every control, the arrow keys move sliders, Escape closes what is open.</p>
  `;
}
