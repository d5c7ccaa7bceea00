/** The drawer with all settings and the compared runs: at the right of a wide screen, over the lower half of a phone. */

import { useLayoutEffect, useRef } from 'preact/hooks';
import * as state from '../state/signals.js';
import { html } from '../ui/html.js';
import { closeSettings, settingsOpened } from '../ui/opened.js';
import { Compared } from './compared.js';
import { Controls } from './fields.js';
import { Cost } from './topbar.js';

export function Drawer() {
  return settingsOpened.value ? html`<${Sheet} />` : null;
}

function Sheet() {
  const sheet = useRef(/** @type {HTMLElement | null} */ (null));
  useLayoutEffect(() => {
    const opener = document.activeElement;
    sheet.current?.focus();
    return () => opener instanceof HTMLElement && opener.focus();
  }, []);
  /** What is open inside the drawer closes first. @param {KeyboardEvent} event */
  const onKeyDown = (event) => {
    if (event.key === 'Escape' && !sheet.current?.querySelector(':popover-open')) closeSettings();
  };
  return html`
    <aside ref=${sheet} class="drawer" id="settings" aria-labelledby="settings-title" tabindex="-1" onKeyDown=${onKeyDown}>
      <header class="drawer-head">
        <h2 id="settings-title">All settings</h2>
        <button type="button" class="icon" aria-label="Close settings" onClick=${closeSettings}>✕</button>
      </header>
      ${state.fields.value.size > 0 ? html`<${Compared} /><${Controls} /><${Cost} />` : null}
    </aside>
  `;
}
