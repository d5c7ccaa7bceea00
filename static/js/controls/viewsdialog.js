/** The dialog "Your views": views visited in this browser, to open, name, compare and delete. */

import { signal } from '@preact/signals';
import { useLayoutEffect } from 'preact/hooks';
import { ROOT } from '../net/sent.js';
import { commit, openAddress } from '../state/actions.js';
import { boot } from '../state/boot.js';
import { fromHash } from '../state/hash.js';
import { areAllKnown } from '../state/presets.js';
import * as state from '../state/signals.js';
import { pushStep } from '../state/trail.js';
import { MAX_VIEWS, nameOfView } from '../state/visited.js';
import { useDraft } from '../ui/draft.js';
import { html } from '../ui/html.js';
import { Dialog } from '../ui/menu.js';
import { closeDialog, opened } from '../ui/opened.js';
import { mergeViews } from './compareviews.js';
import {
  describeVisited,
  dropAllVisited,
  dropped,
  dropVisited,
  recordVisit,
  restore,
  shownKey,
  stored,
} from './visits.js';

/** @typedef {import('../state/visited.js').Visited} Visited */

/** Keys of the views selected for comparison. */
const ticked = signal(/** @type {string[]} */ ([]));

/** Add the current view to the list of visited views, and clear the selection. */
function startSelection() {
  recordVisit();
  ticked.value = [];
  dropped.value = [];
}

/** Render the dialog with the visited views. */
export function ViewsDialog() {
  return html`<${Dialog} title="Your views" isOpen=${opened.value === 'views'} onClose=${closeDialog}><${VisitedViews} /><//>`;
}

/** Render the list of visited views. */
function VisitedViews() {
  useLayoutEffect(startSelection, []); // before the dialog is shown, so that a quick Escape leaves the view in the list
  const { items, trouble } = stored.value;
  return html`
    <div class="views">
      <p class="hint">Views you've explored, newest first, saved in this browser only (up to ${MAX_VIEWS}).</p>
      ${trouble ? html`<p class="error" role="alert">${trouble}</p>` : null}
      <${SelectionBar} />
      ${items.length === 0 && !trouble ? html`<p>No views yet. Change a setting to add one.</p>` : null}
      <ul class="views-list">${items.map((item) => html`<${VisitedView} key=${item.key} item=${item} />`)}</ul>
    </div>
  `;
}

/** Render the buttons Compare, Undo and Delete all. */
function SelectionBar() {
  const { items, trouble } = stored.value;
  const { view, message } = comparedNow();
  return html`
    <div class="views-bar">
      <button type="button" disabled=${!view} onClick=${() => view && showMergedView(view)}>Compare</button>
      <span class="hint" role="status">${message}</span>
      ${
        dropped.value.length > 0
          ? html`<button type="button" class="views-undo" onClick=${restore}>Undo delete of ${dropped.value.length === 1 ? `“${nameOfView(dropped.value[0])}”` : `${dropped.value.length} views`}</button>`
          : null
      }
      ${items.length > 0 || trouble ? html`<button type="button" class="views-all" onClick=${() => dropAndFocus(dropAllVisited)}>Delete all</button>` : null}
    </div>
  `;
}

/** Return the view that merges the two selected ones, or why it cannot be built. */
function comparedNow() {
  const chosen = stored.value.items.filter((item) => ticked.value.includes(item.key));
  if (chosen.length !== 2) return { view: null, message: 'Select two views to compare them.' };
  const [one, other] = chosen.map(({ hash }) => fromHash(hash, state.fields.value, boot.rules).view);
  return mergeViews(state.fields.value, [one, other], boot.rules.letters.length);
}

/** Close the dialog and show a view that was merged from two. @param {import('../../types').View} view */
function showMergedView(view) {
  closeDialog();
  commit(() => (state.view.value = view));
}

/** Render a visited view, with a box that selects it. @param {{item: Visited}} props */
function VisitedView({ item }) {
  const name = nameOfView(item);
  const isTicked = ticked.value.includes(item.key);
  const isFull = ticked.value.length === 2 && !isTicked;
  const typedName = useDraft(item.name, (event) => describeVisited(item.key, { name: event.target.value.trim() }));
  const typedNote = useDraft(item.note, (event) => describeVisited(item.key, { note: event.target.value.trim() }));
  const toggleTicked = () => {
    ticked.value = isTicked ? ticked.value.filter((key) => key !== item.key) : [...ticked.value, item.key];
  };
  return html`
    <li class="views-entry">
      <label class="views-tick"><input type="checkbox" checked=${isTicked} disabled=${isFull} onChange=${toggleTicked} /><span class="sr">Compare ${name}</span></label>
      <div class="views-what">
        <a href=${item.url} onClick=${(/** @type {MouseEvent} */ event) => openVisited(event, item)}>${name}</a>${item.key === shownKey() ? html` <small class="hint">shown now</small>` : null}
        <p class="hint">${item.runs.map(
          ({ label, headline }, run) => `${run > 0 ? ' · ' : ''}${label}${headline ? ` ${headline}` : ''}`,
        )}</p>
        ${item.note ? html`<p>${item.note}</p>` : null}
        <details>
          <summary>Name and note<span class="sr"> of ${name}</span></summary>
          <div class="words">
            <label>Name <input type="text" maxlength="200" placeholder=${item.title} ...${typedName} /></label>
            <label>Note <textarea maxlength="1000" rows="1" ...${typedNote}></textarea></label>
          </div>
        </details>
      </div>
      <time class="hint" dateTime=${new Date(item.seen).toISOString()}>${new Date(item.seen).toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'short' })}</time>
      <button type="button" class="icon" aria-label=${`Delete ${name}`} title="Delete" onClick=${() => dropAndFocus(() => dropVisited([item.key]))}>✕</button>
    </li>
  `;
}

/** Delete visited views, and focus the Undo button, because the pressed button is removed. @param {() => void} act */
function dropAndFocus(act) {
  act();
  ticked.value = ticked.value.filter((key) => stored.value.items.some((item) => item.key === key));
  setTimeout(() => /** @type {HTMLElement | null} */ (document.querySelector('.views-undo'))?.focus());
}

/** Open a visited view on this page, unless a modifier key opens another tab; a snapshot has its own page. @param {MouseEvent} event @param {Visited} item */
function openVisited(event, item) {
  const isElsewhere = event.ctrlKey || event.metaKey || event.shiftKey;
  if (isElsewhere || item.url.startsWith(`${ROOT}/s/`) || !areAllKnown.value) return;
  event.preventDefault();
  closeDialog();
  history.pushState(pushStep(item.url), '', item.url);
  openAddress(boot.snapshot);
}
