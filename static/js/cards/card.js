/** The card of a panel: figure with the values at the cursor, meaning, help, menu and table. */

import { useComputed } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { describeMissingMetrics } from '../data/record.js';
import { isContinuous } from '../figures/basis.js';
import { hasServer } from '../net/sent.js';
import { forInterval } from '../plots/filling.js';
import { PanelHelp } from '../plots/help.js';
import { isInterval, shownStep, toCardTitle, unitOf } from '../plots/places.js';
import { Plot } from '../plots/plotbox.js';
import { present } from '../plots/presented.js';
import { PanelTable, useTableSwitch } from '../plots/table.js';
import { exportItems } from '../share/export.js';
import { openShareDialog } from '../share/share.js';
import { chooseCardView, moveInterval } from '../state/actions.js';
import * as state from '../state/signals.js';
import { html } from '../ui/html.js';
import { Menu } from '../ui/menu.js';
import { BasisSlider } from './basisslider.js';
import { TrainingProgress } from './progress.js';
import { TheoryNotes } from './theory.js';

/** @typedef {import('../../types').Panel} Panel */

/** Render the card of a panel: title, figure or table, findings and menu. @param {{panel: Panel, level?: 'h1' | 'h2' | 'h3'}} props `level`: default `h2`; `h1` on a page with a single card, `h3` in a section */
export function PanelCard({ panel, level = 'h2' }) {
  const { isTable, tableItem, onKeyDown } = useTableSwitch();
  const values = useRef(/** @type {HTMLElement | null} */ (null));
  const view = state.viewOf(panel);
  const template = useTemplate(view);
  const isScale = isContinuous(panel);
  const unit = unitOf(view);
  const findings = useFindings(panel.key);
  const id = `panel-${panel.key}`;
  const items = useMemo(() => {
    // An embedded card has no dialogs.
    return [tableItem, ...exportItems(panel, view), ...(level === 'h1' ? [] : toFrameItems(panel))];
  }, [panel, view, level, isTable]);
  return html`
    <section class=${`card panel ${state.highlightedPanel.value === panel.key ? 'pointed' : ''}`} id=${id} data-panel=${panel.key} aria-labelledby=${`${id}-title`} onKeyDown=${onKeyDown}>
      <header class="card-head">
        <div class="card-title">
          <${level} id=${`${id}-title`}><${CardTitle} panel=${panel} view=${view} /><//>
          <span class="unit" title=${unit}>${unit}</span>
          <span class="at-cursor" ref=${values}></span>
        </div>
        <div class="card-tools">
          ${isScale ? null : html`<${ViewChoice} panel=${panel} viewKey=${view.key} onChange=${(/** @type {string} */ key) => chooseCardView(panel, key)} />`}
          <${PanelHelp} panel=${panel} />
          <${Menu} label=${`${panel.title}: more`} items=${items} />
        </div>
      </header>
      <p class="meaning">${view.meaning}</p>
      ${isInterval(view) ? html`<${IntervalControl} />` : null}
      ${isScale ? html`<${BasisSlider} panel=${panel} view=${view} />` : null}
      ${isTable ? html`<${PanelTable} panel=${panel} />` : html`<${Plot} key=${isScale ? panel.key : view.key} template=${template} title=${panel.title} description=${findings} values=${values} toStep=${(/** @type {import('../../types').Figure} */ figure) => shownStep(panel, figure)} />`}
      ${panel.key === 'theory' ? null : html`<${Missing} figure=${view.figure} />`}
      ${panel.group === 'training' ? null : html`<${TrainingProgress} />`}
      ${panel.key === 'theory' && !isTable ? html`<${TheoryNotes} panel=${panel} view=${view} />` : null}
    </section>
  `;
}

/** List the menu items Embed and Full screen. @param {Panel} panel */
export const toFrameItems = ({ key }) => [
  ...(hasServer ? [{ title: 'Embed', note: 'HTML for another page', run: () => void openShareDialog(key) }] : []),
  { title: 'Full screen', note: 'key f', run: () => present(key) },
];

/** Return the findings of all runs about a panel as one string, so that a card renders only if the text changes. @param {string} key */
export function useFindings(key) {
  return useComputed(() => findingsOf(key)).value;
}

/** Join the findings of one run about a panel. @param {string} key */
function findingsOf(key) {
  state.dataTick.value;
  const texts = state.slots.value.flatMap(({ label, columns }) => {
    const own = (columns.summary?.findings ?? []).filter(({ panel }) => panel === key).map(({ text }) => text);
    return own.length > 0 ? [`${label}: ${own.join(' ')}`] : [];
  });
  return texts.join(' ');
}

/** Return a view's template for the shown layers. @param {import('../../types').PanelView} view */
export function useTemplate(view) {
  return useMemo(() => forInterval(view.figure), [view, state.chosenInterval.value]);
}

/** Render the title of a card; a separate component because the title follows the cursor. @param {{panel: Panel, view: import('../../types').PanelView}} props */
const CardTitle = ({ panel, view }) => html`${toCardTitle(panel, view)}`;

/** Render the buttons that choose a view of the card's figure. @param {{panel: Panel, viewKey: string, onChange: (key: string) => void}} props */
function ViewChoice({ panel, viewKey, onChange }) {
  const views = state.offeredViews(panel);
  const group = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => showPressed(group.current), [viewKey]);
  if (views.length < 2) return null;
  return html`
    <span class="segments small" role="group" ref=${group} aria-label=${`${panel.title}: view`}>
      ${views.map(
        (item) => html`
        <button type="button" aria-pressed=${item.key === viewKey} onClick=${() => onChange(item.key)}>${item.title}</button>
      `,
      )}
    </span>
  `;
}

/** Scroll a row of buttons, which is wider than a phone, to the pressed one. @param {HTMLElement | null} group */
function showPressed(group) {
  const pressed = /** @type {HTMLElement | null | undefined} */ (group?.querySelector('[aria-pressed=true]'));
  if (!group || !pressed) return;
  const first = /** @type {HTMLElement} */ (group.firstElementChild);
  group.scrollLeft = pressed.offsetLeft - first.offsetLeft - (group.clientWidth - pressed.offsetWidth) / 2;
}

/** Render the inputs that choose an interval of layers. */
function IntervalControl() {
  const { first, last } = state.interval.value;
  return html`
    <div class="interval">
      <${IntervalEnd} id="interval-first" label="from layer" value=${first} onInput=${(/** @type {number} */ layer) => moveInterval({ first: layer })} />
      <${IntervalEnd} id="interval-last" label="to layer" value=${last} onInput=${(/** @type {number} */ layer) => moveInterval({ last: layer })} />
    </div>
  `;
}

/** Render the input of one end of the interval. @param {{id: string, label: string, value: number, onInput: (layer: number) => void}} props layers from 0 */
function IntervalEnd({ id, label, value, onInput }) {
  const onChange = (/** @type {any} */ { target }) => {
    if (target.value !== '' && target.validity.valid) onInput(Number(target.value) - 1);
    else target.value = String(value + 1);
  };
  return html`
    <label for=${id}>${label}</label>
    <input type="number" id=${id} min="1" max=${state.layers.value} step="1" value=${value + 1} onChange=${onChange} />
  `;
}

/** Render which metrics of a figure the recordings lack, and why. @param {{figure: import('../../types').Figure}} props a view's template */
export function Missing({ figure }) {
  state.dataTick.value;
  return describeMissingMetrics(figure, state.slots.value).map((text) => html`<p class="hint missing">${text}</p>`);
}
