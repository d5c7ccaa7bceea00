/** The settings: a column beside the figures, and on a phone a sheet over the lower half that leaves a figure in sight. */

import { useEffect, useRef } from 'preact/hooks';
import * as state from '../state/signals.js';
import { html } from '../ui/html.js';
import { Compared } from './compared.js';
import { Controls } from './fields.js';
import { Cost } from './topbar.js';

const wide = matchMedia('(min-width: 761px)');

export function Settings() {
  const sheet = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    // A phone that is turned may have room for the column: it must not stay on top of the page.
    const close = () => wide.matches && sheet.current?.hidePopover();
    wide.addEventListener('change', close);
    return () => wide.removeEventListener('change', close);
  }, []);
  const isKnown = state.fields.value.size > 0; // all at once: what comes first would be moved by what follows
  return html`
    <aside popover ref=${sheet} class="card controls" id="settings" aria-label="Settings">
      <div class="sheet-head only-narrow">
        <h2>Settings</h2>
        <button type="button" class="icon" aria-label="Close settings" popovertarget="settings" popovertargetaction="hide">✕</button>
      </div>
      ${isKnown ? html`<${Compared} /><${Controls} /><${Cost} />` : null}
    </aside>
  `;
}
