/** The card of the picture: what the compared stacks are and what passes through them. */

import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { present } from '../figures/presented.js';
import { share } from '../share/share.js';
import * as state from '../state/signals.js';
import { html, still } from '../ui/html.js';
import { Menu, Popover } from '../ui/menu.js';
import { PictureBox } from './box.js';
import { pictureItems, toTables } from './files.js';
import { HELP, MEANING, SHOWN, STREAM, TITLE } from './geometry/words.js';
import { KEY, placesOf } from './shown.js';
import { sendSignal, sentAt, stopSignal } from './signal.js';

/** @param {{level?: 'h1' | 'h2', children?: any}} props the heading's level: on a page of its own a card is what the page is about; what stands over its corner */
export function PictureCard({ level = 'h2', children = null }) {
  const [isTable, setIsTable] = useState(false);
  const id = `panel-${KEY}`;
  const { value: templates } = state.templates;
  const places = templates ? placesOf(templates) : '';
  const tableItem = { title: isTable ? 'Show the figure' : 'Show as table', run: () => setIsTable(!isTable) };
  const frameItems =
    level === 'h2'
      ? [
          { title: 'Embed', note: 'markup of a frame', run: () => void share(KEY) },
          { title: 'Full screen', note: 'to present; key f', run: () => present(KEY) },
        ]
      : [];
  const items = templates ? [tableItem, ...pictureItems(templates), ...frameItems] : [];
  /** Escape in the table leads back to the figure, and to the menu that it came from. */
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    const card = /** @type {HTMLElement} */ (event.currentTarget);
    if (!isTable || event.key !== 'Escape' || card.querySelector(':popover-open')) return;
    setIsTable(false);
    /** @type {HTMLElement | null} */ (card.querySelector('.card-tools > button:last-of-type'))?.focus();
  };
  return html`
    <section class=${`card picture-card ${state.pointed.value === KEY ? 'pointed' : ''}`} id=${id} data-panel=${KEY} aria-labelledby=${`${id}-title`} onKeyDown=${onKeyDown}>
      <header class="card-head">
        <div class="card-title">
          <${level} id=${`${id}-title`}>${TITLE}${places ? `: ${places}` : ''}<//>
          ${isTable ? null : html`<${SignalButton} />`}
        </div>
        <div class="card-tools">
          <${PictureHelp} />
          <${Menu} label=${`${TITLE}: more`} items=${items} />
        </div>
      </header>
      <p class="meaning">${STREAM} <span class="only-wide">${SHOWN}</span></p>
      ${isTable && templates ? html`<${Tables} templates=${templates} />` : html`<${Picture} />`}
      ${children}
    </section>
  `;
}

/** Those who cannot see it are told that it is on its way. */
function send() {
  sendSignal();
  state.spoken.value = 'The signal goes forward through the layers, then its gradient comes back.';
}

function SignalButton() {
  const isSent = sentAt.value !== null;
  return html`<button type="button" class="send" onClick=${isSent ? stopSignal : send}>${isSent ? '■ Stop' : '▶ Send a signal'}</button>`;
}

const PictureHelp = still(() => {
  return html`
    <${Popover} label=${`${TITLE}: what it shows`} sign="?">
      <h3>${TITLE}</h3>
      <p>${MEANING}</p>
      <p>${HELP.reading}</p>
      <dl><dt>Formula</dt><dd class="formula">${HELP.formula}</dd><dt>Symbol</dt><dd class="formula">${HELP.symbol}</dd><dt>Source</dt><dd>${HELP.source}</dd></dl>
    <//>
  `;
});

export function Picture() {
  const outer = useRef(/** @type {HTMLDivElement | null} */ (null));
  // Before anything is painted: it takes its room.
  useLayoutEffect(() => {
    const box = new PictureBox(/** @type {HTMLDivElement} */ (outer.current));
    return () => {
      stopSignal();
      box.end();
    };
  }, []);
  return html`
    <div class="picture-box" ref=${outer} role="img" aria-busy="true" aria-label=${TITLE}>
      <canvas></canvas><canvas></canvas><canvas></canvas>
    </div>
  `;
}

/** @param {{templates: import('../../types').Templates}} props */
function Tables({ templates }) {
  [state.dataTick.value, state.slots.value, state.step.value];
  const at = state.cursor.value + 1;
  return html`
    <div class="table-box" tabindex="0" role="region" aria-label=${`${TITLE}, table`}>
      ${toTables(templates).map(
        ({ caption, head, rows }) => html`
        <table class="numbers">
          <caption>${caption}</caption>
          <thead><tr>${head.map((text) => html`<th scope="col">${text}</th>`)}</tr></thead>
          <tbody>${rows.map(
            (row) => html`
            <tr class=${row[0] === at ? 'at-cursor' : ''}>${row.map((cell, index) => (index === 0 ? html`<th scope="row">${cell}</th>` : html`<td>${cell}</td>`))}</tr>
          `,
          )}</tbody>
        </table>`,
      )}
    </div>
  `;
}
