/** The layer cursor over a plot, drawn in HTML: moving it redraws no figure. */

import { spread } from './labels.js';
import { areasOf } from './plot.js';

/** @typedef {import('../types').Figure} Figure @typedef {import('./plot.js').Area} Area */

const LABEL_PX = 17;

/**
 * Put the cursor's lines, and the value at each curve, over a plot.
 * @param {HTMLElement} overlay
 * @param {HTMLElement} plot
 * @param {Figure} figure
 * @param {number} cursor layer from 0
 */
export function drawCursor(overlay, plot, figure, cursor) {
  const kinds = figure.layout.meta.layers ?? {};
  const parts = areasOf(plot).flatMap((area) => {
    const kind = kinds[area.x];
    if (kind === 'line') return [...vertical(area, cursor), ...values(area, figure, cursor)];
    if (kind === 'window') return frame(area, cursor);
    return [...vertical(area, cursor), ...(kinds[area.y] ? horizontal(area, cursor) : [])];
  });
  overlay.replaceChildren(...(Object.keys(kinds).length > 0 ? parts : []));
}

/** @param {string} className @param {Record<string, number>} place in pixels @param {string} [text] */
function box(className, place, text) {
  const element = document.createElement('div');
  element.className = className;
  for (const [side, pixels] of Object.entries(place)) element.style.setProperty(side, `${pixels.toFixed(1)}px`);
  if (text !== undefined) element.textContent = text;
  return element;
}

/** @param {Area} area @param {number} x */
function isInside(area, x) {
  return x >= area.left - 0.5 && x <= area.left + area.width + 0.5;
}

/** @param {Area} area @param {number} cursor */
function vertical(area, cursor) {
  const x = area.toX(cursor + 1);
  return isInside(area, x) ? [box('cursor-x', { left: x - 0.5, top: area.top, height: area.height })] : [];
}

/** @param {Area} area @param {number} cursor */
function horizontal(area, cursor) {
  const y = area.toY(cursor + 1);
  const isSeen = y >= area.top && y <= area.top + area.height;
  return isSeen ? [box('cursor-y', { top: y - 0.5, left: area.left, width: area.width })] : [];
}

/** A frame around the cursor's matrix. @param {Area} area @param {number} cursor */
function frame(area, cursor) {
  const left = Math.max(area.left, area.toX(cursor + 0.5));
  const right = Math.min(area.left + area.width, area.toX(cursor + 1.5));
  if (right <= left) return [];
  return [box('cursor-frame', { left, top: area.top - 2, width: right - left, height: area.height + 4 })];
}

/** Where a trace has its value at the cursor; of several streams the least and the largest, if they can be told apart. @param {import('../types').Trace} trace @param {number} cursor */
function outermost(trace, cursor) {
  /** @type {number[]} */
  const found = [...trace.x.keys()].filter((index) => trace.x[index] === cursor + 1 && trace.y[index] !== null);
  found.sort((a, b) => trace.y[a] - trace.y[b]);
  const [least, most] = [found[0], found[found.length - 1]];
  return found.length < 2 || trace.text[least] === trace.text[most] ? found.slice(0, 1) : [most, least];
}

/** A dot on each curve and its value beside it, none over another. @param {Area} area @param {Figure} figure @param {number} cursor */
function values(area, figure, cursor) {
  const x = area.toX(cursor + 1);
  if (!isInside(area, x)) return [];
  const points = figure.data
    .filter((trace) => trace.visible !== false && trace.meta.end)
    .flatMap((trace) =>
      outermost(trace, cursor).map((index) => ({ y: area.toY(trace.y[index]) - area.top, text: trace.text[index], color: trace.line.color })),
    )
    .filter((point) => point.y >= -1 && point.y <= area.height + 1);
  const tops = spread(points.map((point) => point.y - LABEL_PX / 2), LABEL_PX, area.height - LABEL_PX);
  const isLeft = x > area.left + area.width * 0.75;
  return points.flatMap((point, index) => {
    const label = box(`cursor-value${isLeft ? ' to-left' : ''}`, { left: x + (isLeft ? -8 : 8), top: area.top + tops[index] }, point.text);
    const dot = box('cursor-dot', { left: x, top: area.top + point.y });
    label.style.color = dot.style.background = point.color;
    return [dot, label];
  });
}
