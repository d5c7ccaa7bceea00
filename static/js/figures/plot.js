/** The only module that touches Plotly. Plots are drawn in turns, between which a hand on the page comes through. */

import { inkOn, writeNumbers } from '../data/ink.js';

/** @typedef {import('../../types').Figure} Figure */
/**
 * Where a subplot lies in its plot, and where its layers are, in pixels.
 * @typedef {{x: string, y: string, left: number, top: number, width: number, height: number,
 *   toX: (value: number) => number, toY: (value: number) => number}} Area
 */

const CONFIG = {
  displaylogo: false,
  showSendToCloud: false,
  displayModeBar: false,
  responsive: false,
  doubleClick: 'reset',
  scrollZoom: false,
};
const BUDGET_MS = 12;
/** The longest drawing for which an animation frame has room. */
const FRAME_MS = 25;

/** Draws waiting for their turn, by plot: a plot that is asked for twice is drawn once. @type {Map<unknown, {draw: () => void, cost_ms: number}>} */
const waiting = new Map();
let isScheduled = false;

/** The next turn: soon, and not only with the next animation frame, which is as long as a drawing. */
const turns = new MessageChannel();
turns.port1.onmessage = () => drawSome(false);

/** Draw soon: the first in the next animation frame. @param {unknown} key @param {() => void} draw @param {number} [cost_ms] what it will take */
export function scheduleDraw(key, draw, cost_ms = 0) {
  waiting.set(key, { draw, cost_ms });
  if (isScheduled) return;
  isScheduled = true;
  requestAnimationFrame(() => drawSome(true));
}

/** @param {unknown} key */
export function unschedule(key) {
  waiting.delete(key);
}

/** @param {boolean} isFrame an animation frame, which has the page to lay out and to paint as well */
function drawSome(isFrame) {
  const end = performance.now() + BUDGET_MS;
  let hasDrawn = false;
  for (const [key, { draw, cost_ms }] of waiting) {
    if (isFrame && cost_ms > FRAME_MS) break;
    if (hasDrawn && performance.now() + cost_ms > end) break;
    waiting.delete(key);
    draw();
    hasDrawn = true;
  }
  isScheduled = waiting.size > 0;
  if (isScheduled) turns.port2.postMessage(null);
}

/** @param {HTMLElement} element @param {Figure} figure @param {{width: number, height: number}} size */
export function drawPlot(element, figure, size) {
  Plotly.react(element, figure.data, { ...figure.layout, ...size, autosize: false }, CONFIG);
  inkNumbers(element);
}

/** Plotly writes the numbers in cells in white or in a dark grey, which middle colours are too near to. @param {HTMLElement} element */
function inkNumbers(element) {
  for (const label of /** @type {NodeListOf<any>} */ (element.querySelectorAll('.heatmap-label'))) {
    const { trace } = label.parentNode.__data__[0];
    const axis = trace.coloraxis
      ? /** @type {any} */ (element)._fullLayout[trace.coloraxis]
      : { cmin: trace.zmin, cmax: trace.zmax, colorscale: trace.colorscale };
    const ink = inkOn(axis.colorscale, (label.__data__.z - axis.cmin) / (axis.cmax - axis.cmin));
    for (const text of label.querySelectorAll('text')) text.style.setProperty('fill', ink);
  }
}

/** Ticks for the range in sight, if they are others than now. @param {HTMLElement} element @param {string} axis @param {number[]} tickvals @param {string[]} ticktext */
export function setTicks(element, axis, tickvals, ticktext) {
  const now = /** @type {any} */ (element)._fullLayout[axis].ticktext;
  if (ticktext.join() === now.join()) return;
  Plotly.relayout(element, { [`${axis}.tickvals`]: tickvals, [`${axis}.ticktext`]: ticktext });
}

/** @param {HTMLElement} element */
export function removePlot(element) {
  Plotly.purge(element);
}

/**
 * @param {HTMLElement} element
 * @param {{onClick: (places: Record<string, number>) => void, onLayout: () => void}} handlers `onClick` has the value on each axis
 */
export function listen(element, { onClick, onLayout }) {
  const plot = /** @type {any} */ (element);
  plot.on('plotly_click', (/** @type {any} */ { points: [{ x, y, xaxis, yaxis }] }) =>
    onClick({ [xaxis._name]: x, [yaxis._name]: y }),
  );
  plot.on('plotly_relayouting', onLayout);
  plot.on('plotly_relayout', onLayout);
}

/** The subplots that are seen. @param {HTMLElement} element @returns {Area[]} */
export function areasOf(element) {
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

/** @param {HTMLElement} element @param {string} name */
export function axisRange(element, name) {
  return /** @type {[number, number]} */ (/** @type {any} */ (element)._fullLayout[name].range);
}

/**
 * An image of a figure with its title and a foot line, so that it can stand alone.
 * @param {Figure} figure
 * @param {'png' | 'svg'} format
 * @param {string} title
 * @param {string} foot
 * @param {{width: number, height: number}} size
 * @returns {Promise<string>} data URL
 */
export function toImage(figure, format, title, foot, size) {
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
  const whole = { data, layout: { ...layout, margin, annotations, title: heading } };
  return Plotly.toImage(whole, {
    format,
    width: size.width,
    height: size.height + 66,
    scale: format === 'png' ? 2 : 1,
  });
}

/** A figure as it is, as markup. @param {Figure} figure @param {{width: number, height: number}} size @returns {Promise<string>} */
export function toSvg(figure, size) {
  const { data, layout } = writeNumbers(figure);
  return Plotly.toImage({ data, layout }, { format: 'svg', ...size, imageDataOnly: true });
}
