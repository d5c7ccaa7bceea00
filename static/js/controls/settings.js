/** The drawer with all settings and the compared runs: on the right of wide screens, in the lower half of phones. */

import { useLayoutEffect, useRef } from 'preact/hooks';
import * as state from '../state/signals.js';
import { html } from '../ui/html.js';
import { closeSettings, opensEdits, settingsOpened } from '../ui/opened.js';
import { ComparedRuns } from './compared.js';
import { Controls, query } from './fields.js';
import { PredictedCost } from './topbar.js';

const isPhone = matchMedia('(max-width: 760px)');

/** Render the drawer with all settings while it is open. */
export function Drawer() {
  return settingsOpened.value ? html`<${SettingsDrawer} />` : null;
}

/** Render the drawer with the search and all settings; close it on Escape. */
function SettingsDrawer() {
  const sheet = useRef(/** @type {HTMLElement | null} */ (null));
  useLayoutEffect(() => {
    document.body.classList.add('with-drawer');
    return () => document.body.classList.remove('with-drawer');
  }, []);
  useLayoutEffect(() => {
    const opener = document.activeElement;
    if (isPhone.matches) document.querySelector('.bench')?.scrollIntoView(); // the picture stays visible above the drawer
    sheet.current?.querySelector('input')?.focus({ preventScroll: true });
    return () => {
      query.value = '';
      if (opener instanceof HTMLElement) opener.focus();
    };
  }, []);
  useLayoutEffect(() => {
    if (opensEdits.value) sheet.current?.querySelector('[data-path=edits]')?.scrollIntoView();
  }, [opensEdits.value]);
  /** Close the drawer on Escape, after popovers inside it. @param {KeyboardEvent} event */
  const onKeyDown = (event) => {
    if (event.key === 'Escape' && !event.defaultPrevented && !sheet.current?.querySelector(':popover-open'))
      closeSettings();
  };
  const setQuery = (/** @type {any} */ event) => {
    query.value = event.target.value;
  };
  const isSearching = query.value.trim() !== '';
  return html`
    <aside ref=${sheet} class="drawer" id="settings" aria-labelledby="settings-title" onKeyDown=${onKeyDown}>
      <header class="drawer-head">
        <h2 id="settings-title">All settings</h2>
        <button type="button" class="icon" aria-label="Close settings" onClick=${closeSettings}>✕</button>
        <input type="text" role="searchbox" aria-label="Search settings" placeholder="Search settings" value=${query.value} onInput=${setQuery} />
      </header>
      ${state.fields.value.size > 0 ? html`${isSearching ? null : html`<${ComparedRuns} />`}<${Controls} />${isSearching ? null : html`<${PredictedCost} />`}` : null}
    </aside>
  `;
}
