/** Four small charts below the sliders with one cursor: gain forward, gain backward, activation, gradient. */

import { useMemo, useRef } from 'preact/hooks';
import { toDifferenceUnit } from '../figures/difference.js';
import { PanelHelp } from '../plots/help.js';
import { shownStep, toPlaces } from '../plots/places.js';
import { Plot, smallHeight, toSmall } from '../plots/plotbox.js';
import { PanelTable, useTableSwitch } from '../plots/table.js';
import { exportItems } from '../share/export.js';
import { chooseCardView } from '../state/actions.js';
import * as state from '../state/signals.js';
import { html } from '../ui/html.js';
import { Menu } from '../ui/menu.js';
import { Missing, toFrameItems, useFindings, useTemplate } from './card.js';

/** @typedef {import('../../types').Panel} Panel @typedef {import('../../types').PanelView} PanelView */

/** Charts with the titles of their vertical axes. @type {Record<string, string>} */
const PANELS = {
  gain: 'mixing alone',
  gain_bwd: 'mixing alone',
  activation: 'mean of streams',
  gradient: 'sum over streams',
};

/** Titles for several seeds, where the magnified layer has the number of one seed. @type {Record<string, string>} */
const MEDIANS = { gain: 'mixing alone, median', gain_bwd: 'mixing alone, median' };

/** Return whether the strip shows a panel, so that it needs no card. @param {string | undefined} key */
export const isInStrip = (key) => key !== undefined && key in PANELS;

const panelsOfStrip = () => state.shownPanels.value.filter(({ key }) => isInStrip(key));

/** Render the four small charts over the layers below the picture. */
export function Strip() {
  // Reserve the height of four charts until their templates are loaded.
  if (!state.templates.value) return html`<div class="strip awaited"></div>`;
  return html`<section class="strip" aria-label="Curves over the layers">${panelsOfStrip().map((panel) => html`<${Chart} key=${panel.key} panel=${panel} />`)}</section>`;
}

/** Render a small chart of the strip. @param {{panel: Panel}} props */
function Chart({ panel }) {
  const { isTable, tableItem, onKeyDown } = useTableSwitch();
  const values = useRef(/** @type {HTMLElement | null} */ (null));
  const view = state.viewOf(panel);
  const whole = useTemplate(view);
  const axis = (state.hasSeeds.value && MEDIANS[panel.key]) || PANELS[panel.key];
  const template = useMemo(() => toSmall(whole, axis), [whole, axis]);
  const findings = useFindings(panel.key);
  const id = `panel-${panel.key}`;
  const items = useMemo(
    () => [...viewItems(panel, view), tableItem, ...exportItems(panel, view), ...toFrameItems(panel)],
    [panel, view, isTable, state.offeredViews(panel).length],
  );
  return html`
    <section class=${`chart ${state.highlightedPanel.value === panel.key ? 'pointed' : ''}`} id=${id} data-panel=${panel.key} aria-labelledby=${`${id}-title`} onKeyDown=${onKeyDown}>
      <header class="chart-head">
        <h2 id=${`${id}-title`}>${panel.title}</h2>
        <${Place} panel=${panel} view=${view} />
        <span class="at-cursor" ref=${values}></span>
        <div class="card-tools"><${PanelHelp} panel=${panel} /><${Menu} label=${`${panel.title}: more`} items=${items} /></div>
      </header>
      ${
        isTable
          ? html`<${PanelTable} panel=${panel} />`
          : html`<${Plot} key=${view.key} template=${template} title=${panel.title} description=${findings} values=${values} toHeight=${smallHeight}
        toStep=${(/** @type {import('../../types').Figure} */ figure) => shownStep(panel, figure)} />`
      }
      <${Missing} figure=${view.figure} />
    </section>
  `;
}

/** Render view, interval and training step of a small chart if they differ from the default. @param {{panel: Panel, view: PanelView}} props */
function Place({ panel, view }) {
  const scale = view.key === 'linear' ? 'linear' : '';
  const unit = view.unit === panel.unit ? scale : view.unit;
  const against = state.isDifference.value ? toDifferenceUnit(view.figure, '').replace(' · ', '') : '';
  const place = [against, unit, toPlaces(panel, view)].filter(Boolean).join(', ');
  return place ? html`<span class="unit">${place}</span>` : null;
}

/** List the other views of a chart. Choosing one sets it for all charts that have it, so that scales stay comparable. @param {Panel} panel @param {PanelView} shown */
function viewItems(panel, shown) {
  const others = state.offeredViews(panel).filter(({ key }) => key !== shown.key);
  return others.map(({ key }) => ({
    title: TITLES[key] ?? key,
    note: 'all four charts',
    run: () => {
      for (const item of panelsOfStrip()) if (item.views.some((view) => view.key === key)) chooseCardView(item, key);
    },
  }));
}

/** @type {Record<string, string>} */
const TITLES = {
  log: 'Logarithmic scale',
  linear: 'Linear scale',
  theory: 'Add the predicted range',
  tokens: 'Gain of each token',
  tokens_bwd: 'Backward gain of each token',
};
