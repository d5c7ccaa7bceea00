/** The cursors of layer and step over a plot, drawn in HTML: moving it redraws no figure. */

import { stepsOn } from '../data/steps.js';
import { outermost } from '../lines/outermost.js';
import { standAside, toHeights } from './aside.js';

/** @typedef {import('../../types').Figure} Figure @typedef {import('./plot.js').Area} Area */

const LABEL_PX = 17;
const LETTER_PX = 7;
const BESIDE_PX = 8; // from the cursor to its words

/**
 * Put the cursors' lines, and the value at each curve, over a plot: while a pointer is over a layer, on whichever figure, the values there.
 * @param {HTMLElement} overlay
 * @param {Area[]} areas of its subplots
 * @param {Figure} figure
 * @param {{layer: number, step: number | null, hovered: number | null}} cursors from 0; null for none
 */
export function drawCursor(overlay, areas, figure, { layer, step, hovered }) {
  const isApart = hovered !== null && hovered !== layer && Object.keys(figure.layout.meta.layers ?? {}).length > 0;
  const resting = isApart ? partsAt(areas, figure, layer, step, false) : [];
  for (const part of resting) part.classList.add('resting');
  overlay.classList.toggle('over-map', figure.layout.meta.grid !== undefined);
  overlay.replaceChildren(...resting, ...partsAt(areas, figure, hovered ?? layer, step, true));
}

/** @param {Area[]} areas @param {Figure} figure @param {number} layer @param {number | null} step @param {boolean} hasValues @returns {HTMLElement[]} */
function partsAt(areas, figure, layer, step, hasValues) {
  const { layers = {}, steps = {} } = figure.layout.meta;
  /** Where an axis is cut, counted as on the axis. @param {string} axis */
  const placeOn = (axis) =>
    axis in layers ? layer + 1 : step === null ? null : (stepsOn(figure, axis)?.[step] ?? null);
  return areas.flatMap((area) => {
    const [x, y] = [placeOn(area.x), placeOn(area.y)];
    if (layers[area.x] === 'window') return frame(area, layer);
    const isLine = (layers[area.x] ?? steps[area.x]) === 'line';
    return [
      ...(x === null ? [] : vertical(area, x)),
      ...(x !== null && isLine && hasValues ? values(area, figure, x) : []),
      ...(y === null ? [] : horizontal(area, y)),
    ];
  });
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
  const { tops, isLeft } = placeWords(area, figure, x, points);
  return points.flatMap((point, index) => {
    const label = box(
      `cursor-value${isLeft ? ' to-left' : ''}`,
      { left: x + (isLeft ? -BESIDE_PX : BESIDE_PX), top: area.top + tops[index] },
      point.text,
    );
    const dot = box('cursor-dot', { left: x, top: area.top + point.y });
    if (point.whose) label.append(box('whose', {}, point.whose));
    dot.style.background = point.color;
    label.style.color = `color-mix(in srgb, ${point.color} 85%, var(--ink))`; // legible in the pale fill of a band as well
    return [dot, label];
  });
}

/**
 * On which side of the cursor, and how high, words stand: where they have room, and curves run through them least.
 * @param {Area} area @param {Figure} figure @param {number} x @param {{y: number, text: string, whose: string}[]} points
 */
function placeWords(area, figure, x, points) {
  const widths = points.map(({ text, whose }) => LETTER_PX * `${text} ${whose}`.length);
  const longest = Math.max(0, ...widths);
  const drawn = figure.data.filter((trace) => trace.visible !== false && trace.line?.width > 0);
  const curves = toHeights(drawn, area);
  const heights = points.map(({ y }) => y);
  const beside = [false, true].map((isLeft) => {
    const reach = (/** @type {number} */ width) =>
      /** @type {[number, number]} */ (
        isLeft ? [x - BESIDE_PX - width, x - BESIDE_PX] : [x + BESIDE_PX, x + BESIDE_PX + width]
      );
    const [left, right] = reach(longest);
    const taken = wordsIn(area, figure, left, right);
    const size = { letter: LABEL_PX, room: area.height, taken };
    const hasRoom = isLeft ? left >= area.left : right <= area.left + area.width;
    return { isLeft, hasRoom, ...standAside(heights, widths.map(reach), curves, size) };
  });
  const [right, left] = beside;
  if (right.hasRoom !== left.hasRoom) return right.hasRoom ? right : left;
  return left.hidden < right.hidden ? left : right;
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
