/** Presentation mode: one card fills the screen, with its figure, the runs and their numbers, and the position. */

import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { useTemplate } from '../cards/card.js';
import { Headline } from '../cards/results.js';
import { StoryText } from '../cards/story.js';
import { Swatch } from '../cards/swatch.js';
import { shownOf } from '../figures/drawing.js';
import { Picture } from '../picture/card.js';
import { toPictureHeight } from '../picture/files.js';
import { KEY as PICTURE } from '../picture/shown.js';
import { shownStep, toCardTitle, unitOf } from '../plots/places.js';
import { heightOf, Plot } from '../plots/plotbox.js';
import { endPresentation, presented } from '../plots/presented.js';
import { fillShown } from '../plots/shown.js';
import { preset } from '../state/presets.js';
import * as state from '../state/signals.js';
import { stylesOf } from '../state/styles.js';
import { html } from '../ui/html.js';
import { Dialog } from '../ui/menu.js';
import { describePlace, listCards, moveCard, moveStep } from './stagesteps.js';

/** @typedef {import('../../types').Panel} Panel @typedef {import('../../types').Columns} Columns @typedef {{width: number, height: number}} Size */

/** @type {Record<string, () => void>} */
const ACTS = {
  ArrowLeft: () => moveStep(-1),
  ArrowRight: () => moveStep(1),
  ArrowUp: () => moveCard(-1),
  ArrowDown: () => moveCard(1),
  f: endPresentation,
};

/** Return whether a run has a summary. @param {Columns} columns */
const hasSummary = (columns) => columns.summary !== null;

/** Focus the menu of the card that was presented, unless something else has the focus. @param {string} key */
function restoreFocus(key) {
  if (document.activeElement !== document.body) return;
  const tools = document.querySelector(`[data-panel="${key}"] .card-tools > button:last-of-type`);
  /** @type {HTMLElement | null} */ (tools)?.focus();
}

/** Return the title of a presented card. @param {Panel | {key: string, title: string} | null | undefined} card */
function titleOf(card) {
  if (!card) return '';
  return 'views' in card ? toCardTitle(card, state.viewOf(card)) : card.title;
}

/** Render one card over the whole window, for a presentation. */
export function Stage() {
  const at = presented.value;
  const last = useRef(at);
  useEffect(() => {
    if (!at && last.current) restoreFocus(last.current.key);
    last.current = at;
  }, [at]);
  const card = at && listCards().find(({ key }) => key === at.key);
  return html`<${Dialog} title=${titleOf(card)} isOpen=${Boolean(card)} onClose=${endPresentation}>
    ${card ? html`<${Presented} panel=${card.key === PICTURE ? undefined : card} />` : null}
  <//>`;
}

/** Render the card that fills the screen in presentation mode. @param {{panel: Panel | undefined}} props undefined for the picture */
function Presented({ panel }) {
  useEffect(() => {
    const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
      const act = ACTS[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation();
      act();
    };
    document.addEventListener('keydown', onKeyDown, { capture: true });
    return () => document.removeEventListener('keydown', onKeyDown, { capture: true });
  }, []);
  return html`
    <div class="stage">
      ${panel ? html`<p class="stage-unit">${unitOf(state.viewOf(panel))}</p>` : null}
      <${StageText} />
      <${StageLegend} />
      <${StageRoom} panel=${panel} />
      <${StageFoot} />
    </div>
  `;
}

/** Render the text of the step or preset. */
function StageText() {
  if (presented.value?.isStory) return html`<p class="stage-text"><${StoryText} /></p>`;
  return preset.value ? html`<p class="stage-text">${preset.value.description}</p>` : null;
}

/** Render each run of a presentation with line style and number. */
function StageLegend() {
  state.dataTick.value;
  const styles = stylesOf(hasSummary);
  return html`
    <ul class="stage-runs">
      ${preset.value ? html`<li>${preset.value.told}</li>` : null}
      ${state.slots.value.map((slot, run) => {
        const { columns, label } = shownOf(slot, hasSummary);
        return html`<li key=${run}><${Swatch} style=${styles[run]} /><b style=${{ '--run': styles[run]?.color }}>${label}</b><${Headline} slot=${slot} columns=${columns} /></li>`;
      })}
    </ul>
  `;
}

/** Render the presented figure in the remaining space. @param {{panel: Panel | undefined}} props */
function StageRoom({ panel }) {
  const outer = useRef(/** @type {HTMLDivElement | null} */ (null));
  const [size, setSize] = useState({ width: 0, height: 0 });
  useLayoutEffect(() => {
    const room = /** @type {HTMLDivElement} */ (outer.current);
    const follow = new ResizeObserver(() => setSize({ width: room.clientWidth, height: room.clientHeight }));
    follow.observe(room);
    return () => follow.disconnect();
  }, []);
  return html`<div class="stage-room" ref=${outer}>${size.width > 0 ? html`<${FittedFigure} panel=${panel} size=${size} />` : null}</div>`;
}

/** Render the presented figure, magnified to fit the space. @param {{panel: Panel | undefined, size: Size}} props */
function FittedFigure({ panel, size }) {
  [state.slots.value, state.dataTick.value, state.templates.value];
  const { magnified, height } = fitFigure(panel, size);
  const key = [panel?.key, panel && state.viewOf(panel).key, magnified.toFixed(2), height].join();
  return html`
    <div class="stage-figure" key=${key} style=${{ '--magnified': magnified }}>
      ${panel ? html`<${StageFigure} panel=${panel} height=${height} />` : html`<${Picture} />`}
    </div>
  `;
}

/** Render the plot of the presented panel. @param {{panel: Panel, height: number | null}} props */
function StageFigure({ panel, height }) {
  const template = useTemplate(state.viewOf(panel));
  const toHeight = height === null ? undefined : () => height;
  return html`<${Plot} template=${template} title=${panel.title} toHeight=${toHeight}
    toStep=${(/** @type {import('../../types').Figure} */ figure) => shownStep(panel, figure)} />`;
}

/** Render the buttons of a presentation, with step and card. */
function StageFoot() {
  const { step, card } = describePlace();
  const [back, on] = presented.value?.isStory ? ['Previous step', 'Next step'] : ['Previous preset', 'Next preset'];
  const renderButton = (/** @type {string} */ sign, /** @type {string} */ label, /** @type {() => void} */ act) =>
    html`<button type="button" aria-label=${label} title=${label} onClick=${act}>${sign}</button>`;
  return html`
    <footer class="stage-foot">
      ${renderButton('←', back, ACTS.ArrowLeft)}${renderButton('→', on, ACTS.ArrowRight)}<span role="status">${step}</span>
      <span class="spacer"></span>
      <span role="status">${card}</span>${renderButton('↑', 'Previous card', ACTS.ArrowUp)}${renderButton('↓', 'Next card', ACTS.ArrowDown)}
    </footer>
  `;
}

/** Width at which curves are drawn before magnification. */
const DRAWN_PX = 940;
const LARGEST = 3;
const STEP = 0.05;
const LEAST_PX = 180; // smallest height of a figure

/** Compute magnification and height of a presented figure; null if the figure has its own height. @param {Panel | undefined} panel undefined for the picture @param {Size} room @returns {{magnified: number, height: number | null}} */
function fitFigure(panel, room) {
  const { value: templates } = state.templates;
  if (!panel)
    return {
      magnified: templates ? largestMagnification((width) => toPictureHeight(templates, width), room) : 1,
      height: null,
    };
  const { figure: template } = state.viewOf(panel);
  if (!template.layout.meta.grid) {
    const magnified = Math.min(LARGEST, Math.max(1, room.width / DRAWN_PX));
    return { magnified, height: Math.max(LEAST_PX, Math.floor(room.height / magnified)) };
  }
  const figure = fillShown(panel, template);
  return { magnified: largestMagnification((width) => heightOf(figure, false, width), room), height: null };
}

/** Find the largest magnification at which a figure fits the height; 1 if none fits, as on a phone. @param {(width: number) => number} toHeight @param {Size} room */
function largestMagnification(toHeight, room) {
  for (let magnified = LARGEST; magnified > 1; magnified -= STEP) {
    if (toHeight(room.width / magnified) * magnified <= room.height) return magnified;
  }
  return 1;
}
