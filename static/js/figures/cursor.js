/** The cursors of layer and step over a plot, drawn in HTML: moving it redraws no figure. */

import { spread } from '../data/labels.js';
import { outermost } from '../data/outermost.js';
import { areasOf } from './plot.js';

/** @typedef {import('../../types').Figure} Figure @typedef {import('./plot.js').Area} Area */

const LABEL_PX = 17;
const LETTER_PX = 7;

/**
 * Put the cursors' lines, and the value at each curve, over a plot.
 * @param {HTMLElement} overlay
 * @param {HTMLElement} plot
 * @param {Figure} figure
 * @param {number} layer from 0
 * @param {number | null} step from 0; null for none
 */
export function drawCursor(overlay, plot, figure, layer, step) {
  const { layers = {}, steps = {}, grid } = figure.layout.meta;
  /** Where an axis is cut, counted as on the axis. @param {string} axis */
  const placeOn = (axis) => (axis in layers ? layer + 1 : axis in steps && step !== null ? step + 1 : null);
  const parts = areasOf(plot).flatMap((area) => {
    const [x, y] = [placeOn(area.x), placeOn(area.y)];
    if (layers[area.x] === 'window') return frame(area, layer);
    const isLine = (layers[area.x] ?? steps[area.x]) === 'line';
    return [
      ...(x === null ? [] : vertical(area, x)),
      ...(x !== null && isLine ? values(area, figure, x) : []),
      ...(y === null ? [] : horizontal(area, y)),
    ];
  });
  overlay.classList.toggle('over-map', grid !== undefined);
  overlay.replaceChildren(...parts);
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

/** @param {Area} area @param {number} place */
function vertical(area, place) {
  const x = area.toX(place);
  return isInside(area, x) ? [box('cursor-x', { left: x - 0.5, top: area.top, height: area.height })] : [];
}

/** @param {Area} area @param {number} place */
function horizontal(area, place) {
  const y = area.toY(place);
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

/** A dot on each curve and its value beside it, none over another. @param {Area} area @param {Figure} figure @param {number} place */
function values(area, figure, place) {
  const x = area.toX(place);
  if (!isInside(area, x)) return [];
  const points = figure.data
    .filter((trace) => trace.visible !== false && trace.meta.end)
    .flatMap((trace) =>
      outermost(trace, place).map(({ index, whose }) => ({
        y: area.toY(trace.y[index]) - area.top,
        text: trace.text[index],
        whose,
        color: trace.line.color,
      })),
    )
    .filter((point) => point.y >= -1 && point.y <= area.height + 1);
  const longest = Math.max(0, ...points.map(({ text, whose }) => `${text} ${whose}`.length));
  const share = (x - area.left) / area.width;
  const isLeft = share > 0.75 || (share > 0.5 && LETTER_PX * longest > (1 - share) * area.width);
  const edge = x + (isLeft ? -8 - LETTER_PX * longest : 8);
  const taken = wordsIn(area, figure, edge, edge + LETTER_PX * longest);
  const tops = spread(
    points.map((point) => point.y - LABEL_PX / 2),
    LABEL_PX,
    area.height - LABEL_PX,
    taken,
  );
  return points.flatMap((point, index) => {
    const label = box(
      `cursor-value${isLeft ? ' to-left' : ''}`,
      { left: x + (isLeft ? -8 : 8), top: area.top + tops[index] },
      point.text,
    );
    const dot = box('cursor-dot', { left: x, top: area.top + point.y });
    if (point.whose) label.append(box('whose', {}, point.whose));
    label.style.color = dot.style.background = point.color;
    return [dot, label];
  });
}

/** Where between two places words stand in the plot, down from its top: what is said where a curve is lost. @param {Area} area @param {Figure} figure @param {number} left @param {number} right @returns {[number, number][]} */
function wordsIn(area, figure, left, right) {
  const words = (figure.layout.annotations ?? []).filter(
    (/** @type {any} */ { xref, yref }) => xref === area.x.replace('axis', '') && yref === area.y.replace('axis', ''),
  );
  return words.flatMap((/** @type {any} */ { x, y, xanchor, text }) => {
    const at = area.toX(x);
    const [from, to] = xanchor === 'right' ? [at - LETTER_PX * text.length, at] : [at, at + LETTER_PX * text.length];
    const middle = area.toY(y) - area.top;
    return from < right && to > left ? [[middle - LABEL_PX / 2, middle + LABEL_PX / 2]] : [];
  });
}
