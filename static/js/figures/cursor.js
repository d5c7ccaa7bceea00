/** The cursors of layer and step over a plot, drawn in HTML: moving it redraws no figure. */

import { stepsOn } from '../data/steps.js';
import { outermost } from '../lines/outermost.js';
import { placeValues, ROW_PX } from './valuerow.js';

/** @typedef {import('../../types').Figure} Figure @typedef {import('./plot.js').Area} Area */

const PAD_PX = 14; // around a value, and between its parts
const LIFT_PX = 9; // words in the plot may stand half above it

/**
 * Put the cursors' lines, and the value at each curve, over a plot: while a pointer is over a layer, on whichever figure, the values there.
 * @param {HTMLElement} overlay
 * @param {Area[]} areas of its subplots
 * @param {Figure} figure
 * @param {{layer: number, step: number | null, hovered: number | null}} cursors from 0; null for none
 * @returns {number} rows that the values take over the plot
 */
export function drawCursor(overlay, areas, figure, { layer, step, hovered }) {
  const isApart = hovered !== null && hovered !== layer && Object.keys(figure.layout.meta.layers ?? {}).length > 0;
  const resting = isApart ? partsAt(areas, figure, layer, step, false) : [];
  for (const part of resting) part.classList.add('resting');
  overlay.classList.toggle('over-map', figure.layout.meta.grid !== undefined);
  const parts = partsAt(areas, figure, hovered ?? layer, step, true);
  overlay.replaceChildren(...resting, ...parts);
  return new Set(parts.filter((part) => part.dataset.run).map((part) => part.style.top)).size;
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

/** A dot on each curve, and the values in rows over the plot. @param {Area} area @param {Figure} figure @param {number} place */
function values(area, figure, place) {
  const x = area.toX(place);
  if (!isInside(area, x)) return [];
  const points = pointsAt(area, figure, place);
  const room = area.left + area.width + figure.layout.margin.r;
  const places = placeValues(
    points.map(({ words }) => measure(words, figure.layout.font.family)),
    { x, room },
  );
  return points.flatMap(({ y, name, text, whose, color }, index) => {
    const { left, row } = places[index];
    const label = box('cursor-value', { left, top: area.top - LIFT_PX - ROW_PX * (row + 1) }, text);
    label.dataset.run = name;
    if (whose) label.append(box('whose', {}, whose));
    label.style.color = `color-mix(in srgb, ${color} 85%, var(--ink))`;
    if (y < -1 || y > area.height + 1) return [label];
    const dot = box('cursor-dot', { left: x, top: area.top + y });
    dot.style.background = color;
    return [dot, label];
  });
}

/** What the curves say there, in the order of the runs: where, of which run, what, and of which of its streams. @param {Area} area @param {Figure} figure @param {number} place */
function pointsAt(area, figure, place) {
  return figure.data
    .filter((trace) => trace.visible !== false && trace.meta.end)
    .sort((one, other) => one.meta.run - other.meta.run)
    .flatMap((trace) =>
      outermost(trace, place).map(({ index, whose }) => {
        const [name, text] = [trace.name.split(' ')[0], trace.text[index]];
        const words = [name, text, whose].filter(Boolean).join(' ');
        return { y: area.toY(trace.y[index]) - area.top, name, text, whose, words, color: trace.line.color };
      }),
    );
}

/** Widths of words, which are asked for in every frame. @type {Map<string, number>} */
const widths = new Map();
const MAX_WIDTHS = 4000;
/** @type {CanvasRenderingContext2D | null} */
let pen = null;

/** How wide a value is with what is around it. @param {string} words @param {string} family */
function measure(words, family) {
  const known = widths.get(words);
  if (known !== undefined) return known;
  if (widths.size > MAX_WIDTHS) widths.clear();
  pen ??= /** @type {CanvasRenderingContext2D} */ (document.createElement('canvas').getContext('2d'));
  pen.font = `600 12px ${family}`;
  const width = Math.ceil(pen.measureText(words).width) + PAD_PX;
  widths.set(words, width);
  return width;
}
