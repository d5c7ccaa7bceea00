/** The card of the picture: the compared stacks and the signal that passes through them. */

import { useComputed } from '@preact/signals';
import { useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import { PanelHelp } from '../plots/help.js';
import { present } from '../plots/presented.js';
import { useTableSwitch } from '../plots/table.js';
import { openShareDialog } from '../share/share.js';
import { moveCursor } from '../state/actions.js';
import { isComputing } from '../state/edits.js';
import * as state from '../state/signals.js';
import { html } from '../ui/html.js';
import { Lazy } from '../ui/lazy.js';
import { Menu } from '../ui/menu.js';
import { opensEdits, settingsOpened } from '../ui/opened.js';
import { useWhileSeen } from '../ui/seen.js';
import { NumbersTable, TableBox } from '../ui/table.js';
import { PictureBox } from './box.js';
import { pictureItems, shownRuns, toTables } from './files.js';
import {
  hasSeeds,
  isFading,
  isLog,
  isMixed,
  isOpen,
  KEY,
  magnifyNext,
  matrixOpened,
  openMatrix,
  placesOf,
  setLog,
} from './shown.js';
import { elapsedOf, isStill, leg, pauseSignal, sendSignal, sent, stopSignal } from './signal.js';
import { ENDS_MS } from './signalfront.js';
import { HELP, MEANING, pictureCaption, TITLE } from './words.js';

/** @typedef {import('../../types').Templates} Templates */

const ABOUT = { title: TITLE, meaning: MEANING, help: HELP };

/** Render the card of the picture. @param {{level?: 'h1' | 'h2', children?: any}} props `level`: default `h2`; `h1` on a page with a single card */
export function PictureCard({ level = 'h2', children = null }) {
  const { isTable, tableItem, onKeyDown } = useTableSwitch('picture');
  const id = `panel-${KEY}`;
  const { value: templates } = state.templates;
  const layer = state.cursor.value + 1;
  const hasOthers = useComputed(() => state.view.value.runs.length > 1).value;
  const canEdit = isComputing && !state.hasOnlyRecordings.value;
  const items = useMemo(() => {
    return templates ? itemsOf(templates, layer, { hasOthers, canEdit, isPart: level === 'h2' }, tableItem) : [];
  }, [templates, layer, hasOthers, canEdit, isTable, level]);
  const stopAndReturn = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === 'Escape' && sent.value) stopSignal();
    onKeyDown(event);
  };
  return html`
    <section class=${`card picture-card ${state.highlightedPanel.value === KEY ? 'pointed' : ''}`} id=${id} data-panel=${KEY} aria-labelledby=${`${id}-title`} onKeyDown=${stopAndReturn}>
      <${level} id=${`${id}-title`} class="sr">${TITLE}<//>
      ${
        isTable && templates
          ? html`<${PictureTables} templates=${templates} /><div class="picture-row"><${PictureTools} items=${items} /></div>`
          : html`<${Picture}>
              <div class="picture-row"><${SignalButtons} /><${ScaleChoice} /><${Caption} /></div>
              <${InsideButton} />
              <${PictureTools} items=${items} />
            <//>`
      }
      ${children}
    </section>
  `;
}

/** List the items of the menu of the picture. @param {Templates} templates @param {number} layer at the cursor, from 1 @param {{hasOthers: boolean, canEdit: boolean, isPart: boolean}} choice whether several runs are compared, a run can be edited, and the page has other cards @param {import('../ui/menu.js').Item} tableItem */
function itemsOf(templates, layer, { hasOthers, canEdit, isPart }, tableItem) {
  const nextItem = {
    title: 'Next run',
    note: 'in “Inside layer”; a click on a name does the same',
    run: () => magnifyNext(shownRuns(templates)),
  };
  const matrixItem = { title: `Edit H_res of layer ${layer}`, note: 'in place; key m', run: () => openMatrix('keys') };
  const editItem = { title: `Edit layer ${layer}`, note: 'streams and mixing matrix', run: openEdits };
  const frameItems = [
    { title: 'Embed', note: 'markup of a frame', run: () => void openShareDialog(KEY) },
    { title: 'Full screen', note: 'to present; key f', run: () => present(KEY) },
  ];
  return [
    ...(hasOthers ? [nextItem] : []),
    ...(canEdit ? [matrixItem, editItem] : []),
    tableItem,
    ...pictureItems(templates),
    ...(isPart ? frameItems : []),
  ];
}

/** Open the drawer of settings at the edits. */
function openEdits() {
  settingsOpened.value = opensEdits.value = true;
}

/** Render help and menu of the picture. @param {{items: import('../ui/menu.js').Item[]}} props */
const PictureTools = ({ items }) =>
  html`<div class="card-tools"><${PanelHelp} panel=${ABOUT} /><${Menu} label=${`${TITLE}: more`} items=${items} /></div>`;

/** Render the buttons that send, pause and stop a signal. */
function SignalButtons() {
  const { value } = sent;
  if (!value)
    return html`<button type="button" class="send" key="send" onClick=${sendAndAnnounce} disabled=${state.slots.value.length === 0} aria-label="Send a signal">▶ Send<span class="picture-inside"> a signal</span></button>`;
  const isForward = elapsedOf(value) <= ENDS_MS.forward;
  const pause = isStill()
    ? isForward
      ? 'Show the gradient'
      : 'Show the signal'
    : value.paused === null
      ? 'Pause'
      : 'Continue';
  return html`
    <button type="button" class="send" key="send" onClick=${stopSignal}>■ Stop</button>
    <button type="button" class="pause" key="pause" onClick=${pauseSignal}>${pause}</button>
  `;
}

/** Send a signal, and announce it to screen readers. */
function sendAndAnnounce() {
  sendSignal();
  state.announcement.value = 'The signal goes forward through the layers, then its gradient comes back.';
}

/** Render the switch between linear and logarithmic widths. */
function ScaleChoice() {
  const choose = () => setLog(!isLog.value);
  return html`<button type="button" class="picture-scale" role="switch" aria-checked=${isLog.value} aria-label="Logarithmic widths" onClick=${choose}><span class=${isLog.value ? '' : 'on'}>linear</span> | <span class=${isLog.value ? 'on' : ''}>log</span></button>`;
}

/** Render how to read the picture, and the training step that it shows. */
function Caption() {
  const places = useComputed(() => (state.templates.value ? placesOf(state.templates.value) : '')).value;
  return html`<p class="picture-caption">${places ? html`<b>${places[0].toUpperCase() + places.slice(1)}.</b> ` : null}${pictureCaption(isLog.value, { leg: leg.value, isFading: isFading.value, isMixed: isMixed.value, hasSeeds: hasSeeds.value })}</p>`;
}

/** Render the button that opens the magnified layer if it has no room next to the strips. */
function InsideButton() {
  return html`
    <button type="button" class="picture-open" aria-expanded=${isOpen.value} aria-label=${`Inside layer ${state.cursor.value + 1}`} onClick=${() => (isOpen.value = !isOpen.value)}><span class="picture-inside">Inside </span>layer ${state.cursor.value + 1}</button>
  `;
}

/** Render the canvas of the picture, with the layers of pointer and keyboard. @param {{children?: any}} props controls over the picture */
export function Picture({ children = null }) {
  const outer = useRef(/** @type {HTMLDivElement | null} */ (null));
  // Before the first paint, to reserve the height.
  useLayoutEffect(() => {
    const box = new PictureBox(/** @type {HTMLDivElement} */ (outer.current));
    return () => {
      stopSignal();
      box.end();
    };
  }, []);
  return html`
    <div class="picture">
      <div class="picture-box" ref=${outer} role="group" aria-busy="true" aria-label=${TITLE}>
        <canvas></canvas><canvas></canvas><canvas></canvas>
        <${LayerSlider} />
        <div class="picture-frame" hidden></div>
        <div class="picture-tip" hidden></div>
        <div class="picture-paper"></div>
      </div>
      <${Lazy} isWanted=${matrixOpened.value !== null} load=${loadMatrix} />
      ${children}
    </div>
  `;
}

const loadMatrix = () => import('./matrix.js').then((module) => module.MatrixInPlace);

/** Render the cursor for the keyboard: an invisible slider, whose focus ring is shown on the frame. */
function LayerSlider() {
  const outer = useRef(/** @type {HTMLInputElement | null} */ (null));
  const { first, last, layer, layers } = useWhileSeen(outer, () => ({
    ...state.interval.value,
    layer: state.cursor.value,
    layers: state.layers.value,
  }));
  const move = (/** @type {any} */ event) => moveCursor(Number(event.target.value) - 1);
  return html`<input type="range" class="picture-layer" ref=${outer} aria-label="Layer" min=${first + 1} max=${last + 1} step="1" value=${layer + 1}
    disabled=${first === last} aria-valuetext=${`layer ${layer + 1} of ${layers}`} onInput=${move} />`;
}

/** Render the numbers of the picture as tables. @param {{templates: Templates}} props */
function PictureTables({ templates }) {
  [state.dataTick.value, state.slots.value, state.step.value];
  const at = state.cursor.value + 1;
  return html`<${TableBox} label=${`${TITLE}, table`}>${toTables(templates).map((table) => html`<${NumbersTable} ...${table} at=${at} />`)}<//>`;
}
