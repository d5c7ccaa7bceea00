/** A panel's card: its figure with cursor, its meaning, its "?", its menu and its table. */

import { effect } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import { moveCursor } from './actions.js';
import { drawCursor } from './cursor.js';
import { choose } from './drawing.js';
import { exportItems } from './export.js';
import { LEAST_ROW_GAP, fill } from './fill.js';
import { html } from './html.js';
import { Menu, Popover } from './menu.js';
import { areasOf, drawPlot, listen, removePlot, scheduleDraw, unschedule } from './plot.js';
import * as state from './state.js';
import { PanelTable } from './table.js';

/** @typedef {import('../types').Panel} Panel @typedef {import('../types').Figure} Figure */

const NARROW_PX = 400;
const LINE_PX = 264;
const MATRIX_PX = 256;
const STRIPS_PX = 244;

/** The height that a filled figure wants. @param {Figure} figure @param {boolean} isNarrow */
function heightOf(figure, isNarrow) {
  const { meta, margin } = figure.layout;
  if (!meta.grid) return isNarrow ? 236 : LINE_PX;
  const count = Math.max(1, figure.data.filter((trace) => trace.visible !== false).length);
  const isRows = isNarrow || meta.grid.direction === 'rows';
  const gapShare = Math.max(meta.grid.gap, LEAST_ROW_GAP) / meta.grid.cell;
  const cells = count + (count - 1) * gapShare;
  const isStrip = meta.grid.direction === 'rows';
  const strip = isNarrow ? 70 : Math.min(130, Math.max(64, STRIPS_PX / cells));
  const inner = isRows ? cells * (isStrip ? strip : 190) : MATRIX_PX;
  return Math.round(inner + margin.t + margin.b);
}

/** @param {{panel: Panel}} props */
export function PanelCard({ panel }) {
  const [viewKey, setViewKey] = useState(panel.views[0].key);
  const [isTable, setIsTable] = useState(false);
  const shown = useRef(/** @type {Figure | null} */ (null));
  const view = panel.views.find((item) => item.key === viewKey) ?? panel.views[0];
  const id = `panel-${panel.key}`;
  return html`
    <section class="card panel" id=${id} data-panel=${panel.key} aria-labelledby=${`${id}-title`}>
      <header class="card-head">
        <div class="card-title">
          <h2 id=${`${id}-title`}>${panel.title}<${LayerNumber} panel=${panel} /></h2>
          <span class="unit" title=${panel.unit}>${panel.unit}</span>
        </div>
        <div class="card-tools">
          <${ViewChoice} panel=${panel} viewKey=${view.key} onChange=${setViewKey} />
          <${PanelHelp} panel=${panel} />
          <${Menu} label=${`${panel.title}: more`} items=${[
          { title: isTable ? 'Show the figure' : 'Show as table', run: () => setIsTable(!isTable) },
          ...exportItems(panel, view, () => shown.current),
        ]} />
        </div>
      </header>
      <p class="meaning">${panel.meaning}</p>
      ${isTable ? html`<${PanelTable} panel=${panel} />` : html`<${Plot} key=${view.key} template=${view.figure} shown=${shown} title=${panel.title} />`}
    </section>
  `;
}

/** The cursor's layer in the title of the panel that shows one layer. @param {{panel: Panel}} props */
function LayerNumber({ panel }) {
  return panel.key === 'detail' ? html`: layer ${state.cursor.value + 1}` : null;
}

/** @param {{panel: Panel, viewKey: string, onChange: (key: string) => void}} props */
function ViewChoice({ panel, viewKey, onChange }) {
  if (panel.views.length < 2) return null;
  return html`
    <span class="segments small" role="group" aria-label=${`${panel.title}: view`}>
      ${panel.views.map((item) => html`
        <button type="button" aria-pressed=${item.key === viewKey} onClick=${() => onChange(item.key)}>${item.title}</button>
      `)}
    </span>
  `;
}

/** @param {{panel: Panel}} props */
function PanelHelp({ panel }) {
  const { formula, reading, symbol, source } = panel.help;
  return html`
    <${Popover} label=${`${panel.title}: what it shows`} sign="?">
      <h3>${panel.title}</h3>
      <p>${panel.meaning}</p>
      <p>${reading}</p>
      <dl><dt>Formula</dt><dd class="formula">${formula}</dd><dt>Symbol</dt><dd class="formula">${symbol}</dd><dt>Source</dt><dd>${source}</dd></dl>
    <//>
  `;
}

/** @param {{template: Figure, shown: {current: Figure | null}, title: string}} props */
function Plot({ template, shown, title }) {
  const outer = useRef(/** @type {HTMLDivElement | null} */ (null));
  const latest = useRef(template);
  const redraw = useRef(() => {});
  latest.current = template;
  useEffect(() => {
    const box = /** @type {HTMLDivElement} */ (outer.current);
    const stop = keepDrawn(box, () => latest.current, shown);
    redraw.current = stop.redraw;
    return stop.end;
  }, []);
  useEffect(() => redraw.current(), [template]);
  return html`
    <div class="plot-box" ref=${outer} role="img" aria-label=${`${title}: a figure; its numbers are under “Show as table” in the menu`}>
      <div class="plot"></div>
      <div class="overlay" aria-hidden="true"></div>
    </div>
  `;
}

/**
 * Draw whenever there is something new, the plot is in sight and has a size.
 * @param {HTMLDivElement} box
 * @param {() => Figure} template
 * @param {{current: Figure | null}} shown
 */
function keepDrawn(box, template, shown) {
  const plot = /** @type {HTMLElement} */ (box.children[0]);
  const overlay = /** @type {HTMLElement} */ (box.children[1]);
  let isSeen = false;
  let isListening = false;
  let drawn = '';

  const placeCursor = () => {
    if (shown.current) drawCursor(overlay, plot, shown.current, state.cursor.peek());
  };

  const draw = () => {
    const width = box.clientWidth;
    if (!isSeen || width === 0) return;
    const { results, labels, isStale, signature } = choose(template(), state.slots.peek());
    box.classList.toggle('stale', isStale || state.phase.peek() === 'asking' || state.phase.peek() === 'refused');
    const isFollowing = /window|at\./.test(JSON.stringify([template().layout.meta.layers, template().data[0]?.meta.fill]));
    const current = [signature, width, isFollowing ? state.cursor.peek() : '', template().layout.paper_bgcolor, template().data.length].join('|');
    if (current === drawn) return placeCursor();
    drawn = current;
    const isNarrow = width < NARROW_PX;
    const figure = fill(template(), results, labels, state.cursor.peek(), isNarrow);
    const height = heightOf(figure, isNarrow);
    shown.current = figure;
    box.style.setProperty('height', `${height}px`);
    void drawPlot(plot, figure, { width, height });
    if (!isListening) {
      isListening = true;
      listen(plot, { onClick: (x) => moveCursor(Math.round(x) - 1), onLayout: placeCursor });
    }
    placeCursor();
  };

  const redraw = () => scheduleDraw(box, draw);
  const sight = new IntersectionObserver(([entry]) => {
    isSeen = entry.isIntersecting;
    if (isSeen) redraw();
  }, { rootMargin: '200px' });
  const size = new ResizeObserver(redraw);
  sight.observe(box);
  size.observe(box);
  const stopData = effect(() => {
    [state.dataTick.value, state.slots.value, state.phase.value, state.cursor.value];
    redraw();
  });
  const end = () => {
    stopData();
    sight.disconnect();
    size.disconnect();
    unschedule(box);
    if (areasOf(plot).length > 0) removePlot(plot);
  };
  return { redraw, end };
}
