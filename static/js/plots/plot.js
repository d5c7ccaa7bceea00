/** The only module that touches Plotly. Schedules drawings in short turns, so that input is handled between them. */

import { textColorOn, writeNumbers } from '../figures/ink.js';

/** @typedef {import('../../types').Figure} Figure */
/**
 * Position of a subplot in its plot, and maps from axis values to pixels.
 * @typedef {{x: string, y: string, left: number, top: number, width: number, height: number,
 *   toX: (value: number) => number, toY: (value: number) => number}} Area
 */

const CONFIG = {
  displaylogo: false,
  showSendToCloud: false,
  displayModeBar: false,
  responsive: false,
  doubleClick: false, // see `reset` in plotbox.js
  showTips: false,
  scrollZoom: false,
};
const BUDGET_MS = 12;
/** Longest drawing that fits into an animation frame. */
const FRAME_MS = 25;

/** Scheduled drawings by plot; a plot that is scheduled twice is drawn once. @type {Map<unknown, {draw: () => void, cost_ms: number, isTogether: boolean, isFirst: boolean}>} */
const waiting = new Map();
let isScheduled = false;

/** Starts the next turn without waiting for the next animation frame. */
const turns = new MessageChannel();
turns.port1.onmessage = () => drawWithinBudget(false);

/**
 * Schedule the drawing of a figure; the first one runs in the next animation frame.
 * @param {unknown} key
 * @param {() => void} draw
 * @param {{cost_ms?: number, isTogether?: boolean, isFirst?: boolean}} [options] expected duration, default 0; `isTogether`: draw in the same frame as all others with this flag, default false; `isFirst`: draw before those without this flag, default true
 */
export function scheduleDraw(key, draw, { cost_ms = 0, isTogether = false, isFirst = true } = {}) {
  waiting.set(key, { draw, cost_ms, isTogether, isFirst });
  if (isScheduled) return;
  isScheduled = true;
  requestAnimationFrame(() => drawWithinBudget(true));
}

/** Wait until no drawing is scheduled and the last one is painted. */
export async function untilPainted() {
  do await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  while (isScheduled);
}

/** Cancel the scheduled drawing of a figure. @param {unknown} key */
export function unschedule(key) {
  waiting.delete(key);
}

/** Draw scheduled figures until the time budget of the animation frame is used. @param {boolean} isFrame whether this is an animation frame, which also lays out and paints the page */
function drawWithinBudget(isFrame) {
  const end = performance.now() + BUDGET_MS;
  let hasDrawn = drawTogether();
  const ordered = [...waiting].sort(([, one], [, other]) => Number(other.isFirst) - Number(one.isFirst));
  for (const [key, { draw, cost_ms }] of ordered) {
    if (isFrame && cost_ms > FRAME_MS) break;
    if (hasDrawn && performance.now() + cost_ms > end) break;
    waiting.delete(key);
    draw();
    hasDrawn = true;
  }
  isScheduled = waiting.size > 0;
  if (isScheduled) turns.port2.postMessage(null);
}

/** Draw all figures that follow a drag, in one frame, so that they show the same moment. Return whether there were any. */
function drawTogether() {
  const together = [...waiting].filter(([, { isTogether }]) => isTogether);
  for (const [key, { draw }] of together) {
    waiting.delete(key);
    draw();
  }
  return together.length > 0;
}

/** Time after which loading Plotly is retried; slow connections need half a minute. */
const LIBRARY_MS = 30_000;

/** @type {Promise<void> | null} */
let loading = null;

/** Return whether Plotly is loaded. */
export const hasPlotly = () => 'Plotly' in window;

/**
 * Load Plotly before the first drawing: it is half of the page's bytes, and the page can show its text before. The page preloads the file.
 * @returns {Promise<void>} rejects if the server does not send it; another call retries
 */
export function loadPlotly() {
  if (hasPlotly()) return Promise.resolve();
  const { href } = /** @type {HTMLLinkElement} */ (document.getElementById('plotly'));
  loading ??= addScript(href).catch((error) => {
    loading = null;
    throw error;
  });
  return loading;
}

/**
 * Add the script, and add it again if it does not arrive: a script waits forever on a broken connection. The retry has another address,
 * because browsers merge equal requests.
 * @param {string} href @param {number} attempt number of earlier requests, default 0 @returns {Promise<void>}
 */
const addScript = (href, attempt = 0) =>
  new Promise((resolve, reject) => {
    const script = document.createElement('script');
    script.src = attempt ? `${href}?${new URLSearchParams({ attempt: String(attempt) })}` : href;
    const again = setTimeout(() => addScript(href, attempt + 1).then(resolve, reject), LIBRARY_MS);
    script.onload = () => resolve(clearTimeout(again));
    script.onerror = () => {
      clearTimeout(again);
      reject(new Error('the script that draws figures could not be loaded'));
    };
    document.head.append(script);
  });

/** Draw a figure with Plotly, which must be loaded. @param {HTMLElement} element @param {Figure} figure @param {{width: number, height: number}} size */
export function drawPlot(element, figure, size) {
  // The title shows the values at the pointer. Plotly still sends events.
  if (figure.layout.meta.axes)
    for (const trace of figure.data) Object.assign(trace, { hoverinfo: 'none', hovertemplate: undefined });
  Plotly.react(element, figure.data, { ...figure.layout, ...size, autosize: false }, CONFIG);
  // Cursor values are behind the plot, so its background must be transparent.
  for (const paper of element.querySelectorAll('svg')) paper.style.setProperty('background', 'none');
  recolorNumbers(element);
}

/** Recolour the numbers in cells: Plotly's white and dark grey are illegible on medium colours. @param {HTMLElement} element */
function recolorNumbers(element) {
  for (const label of /** @type {NodeListOf<any>} */ (element.querySelectorAll('.heatmap-label'))) {
    const { trace } = label.parentNode.__data__[0];
    const axis = trace.coloraxis
      ? /** @type {any} */ (element)._fullLayout[trace.coloraxis]
      : { cmin: trace.zmin, cmax: trace.zmax, colorscale: trace.colorscale };
    const ink = textColorOn(axis.colorscale, (label.__data__.z - axis.cmin) / (axis.cmax - axis.cmin));
    for (const text of label.querySelectorAll('text')) text.style.setProperty('fill', ink);
  }
}

/** Remove a Plotly figure from its element. @param {HTMLElement} element */
export function removePlot(element) {
  Plotly.purge(element);
}

/**
 * Listen to clicks, hovering and zooming of a plot.
 * @param {HTMLElement} element
 * @param {{onClick: (places: Record<string, number>) => void, onDoubleClick: () => void, onHover: () => void, onMove: () => void, onZoom: (ranges: Record<string, [number, number]>) => void}} handlers
 *   `onClick` gets the value on each axis; `onMove` is called while axes are dragged, `onZoom` afterwards with their ranges
 */
export function listenToPlot(element, { onClick, onDoubleClick, onHover, onMove, onZoom }) {
  const plot = /** @type {any} */ (element);
  plot.on('plotly_click', (/** @type {any} */ { points: [{ x, y, xaxis, yaxis }] }) =>
    onClick({ [xaxis._name]: x, [yaxis._name]: y }),
  );
  plot.on('plotly_doubleclick', onDoubleClick);
  plot.on('plotly_hover', () => {
    writeMinus(element);
    onHover();
  });
  plot.on('plotly_relayouting', onMove);
  plot.on('plotly_relayout', (/** @type {Record<string, any>} */ changed) => {
    const axes = Object.keys(changed).flatMap((name) => name.match(/^(\w+axis\d*)\.range\[0\]$/)?.[1] ?? []);
    if (axes.length > 0) onZoom(Object.fromEntries(axes.map((name) => [name, plot._fullLayout[name].range.slice()])));
  });
}

/** Write the true minus in hover texts: Plotly's own formats have a hyphen, and no option for another sign. @param {HTMLElement} element */
function writeMinus(element) {
  const walker = document.createTreeWalker(
    /** @type {Element} */ (element.querySelector('.hoverlayer')),
    NodeFilter.SHOW_TEXT,
  );
  for (let node = walker.nextNode(); node; node = walker.nextNode())
    node.nodeValue = /** @type {string} */ (node.nodeValue).replace(/(?<!\w)-(?=\d)/g, '−');
}

/** Return the hover text of a Plotly figure in one line. @param {HTMLElement} element */
export function readHover(element) {
  const texts = [...element.querySelectorAll('.hoverlayer text')].map((text) => {
    const lines = [...text.querySelectorAll('tspan.line')];
    return lines.length > 0 ? lines.map((line) => line.textContent).join(', ') : text.textContent;
  });
  return texts.filter(Boolean).join(' · ').replaceAll(' : ', ': ');
}

/** List the visible subplots of a plot, with their positions in px. @param {HTMLElement} element @returns {Area[]} */
export function plotAreasOf(element) {
  const layout = /** @type {any} */ (element)._fullLayout;
  if (!layout?._plots) return [];
  return Object.values(layout._plots)
    .filter(({ xaxis, yaxis }) => xaxis.visible && yaxis.visible)
    .map(({ xaxis, yaxis }) => ({
      x: xaxis._name,
      y: yaxis._name,
      left: xaxis._offset,
      top: yaxis._offset,
      width: xaxis._length,
      height: yaxis._length,
      toX: (value) => xaxis._offset + xaxis.l2p(value),
      toY: (value) => yaxis._offset + yaxis.l2p(value),
    }));
}

/**
 * Export a figure as an image with title and foot line.
 * @param {Figure} figure
 * @param {'png' | 'svg'} format
 * @param {string} title
 * @param {string} foot
 * @param {{width: number, height: number}} size
 * @returns {Promise<string>} data URL
 */
export async function toImage(figure, format, title, foot, size) {
  const { data, layout } = writeNumbers(figure);
  const margin = { ...layout.margin, t: layout.margin.t + 40, b: layout.margin.b + 26 };
  const note = { xref: 'paper', yref: 'paper', x: 0, y: 0, yshift: 6 - margin.b, xanchor: 'left', yanchor: 'bottom' };
  const annotations = [...(layout.annotations ?? []), { ...note, text: foot, showarrow: false, font: { size: 10 } }];
  const heading = {
    text: title,
    x: 0,
    xref: 'paper',
    xanchor: 'left',
    y: 0.97,
    yanchor: 'top',
    font: { size: 15, color: layout.meta.ink },
  };
  await loadPlotly();
  const titled = { data, layout: { ...layout, margin, annotations, title: heading } };
  return Plotly.toImage(titled, {
    format,
    width: size.width,
    height: size.height + 66,
    scale: format === 'png' ? 2 : 1,
  });
}

/** Export a figure as SVG markup. @param {Figure} figure @param {{width: number, height: number}} size @returns {Promise<string>} */
export async function toSvg(figure, size) {
  await loadPlotly();
  const { data, layout } = writeNumbers(figure);
  return Plotly.toImage({ data, layout }, { format: 'svg', ...size, imageDataOnly: true });
}
