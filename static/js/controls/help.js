/** The sheet behind "?": the keys, and how to turn them off. */

import { html } from '../ui/html.js';
import { Dialog } from '../ui/menu.js';
import { closeDialog, opened } from '../ui/opened.js';
import { areKeysOn, SHORTCUTS, turnKeys } from './keys.js';

export function HelpDialog() {
  return html`<${Dialog} title="Help" isOpen=${opened.value === 'help'} onClose=${closeDialog}><${Sheet} /><//>`;
}

function Sheet() {
  return html`
    <p>Change a setting and every figure follows. Each figure has its meaning under “?” and its numbers as a table in its menu.</p>
    <h3>Keys</h3>
    <table class="keys">
      ${SHORTCUTS.map(
        (item) => html`
        <tr><th scope="row">${item.signs.map((sign) => html`<kbd>${sign}</kbd> `)}</th><td>${item.title}</td></tr>
      `,
      )}
    </table>
    <label class="choice"><input type="checkbox" checked=${areKeysOn.value}
      onChange=${(/** @type {any} */ event) => turnKeys(event.target.checked)} /> Single keys act</label>
    <p class="hint">They rest while you type in a field. Tab reaches everything, the arrow keys move sliders, Escape closes what is open.</p>
  `;
}
