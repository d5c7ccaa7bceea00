/** Draws the cursors of layer and step over a plot in HTML, so that moving them redraws no figure, and writes the values there. */

import { formatFactor } from '../data/gain.js';
import { outermostPoints } from './fill/outermost.js';
import { stepsOn } from './fill/steps.js';

/** @typedef {import('../../types').Figure} Figure @typedef {import('./plot.js').Area} Area */

/**
 * Draw the cursors over a plot. While the pointer is over a layer of any figure, that layer's line is drawn too, with the dots on the curves.
 * @param {HTMLElement} overlay
 * @param {Area[]} areas of the subplots
 * @param {Figure} figure
 * @param {{layer: number, step: number | null, hovered: number | null}} cursors from 0; null for none
 */
export function drawCursor(overlay, areas, figure, { layer, step, hovered }) {
  const isElsewhere = hovered !== null && hovered !== layer && Object.keys(figure.layout.meta.layers ?? {}).length > 0;
  const resting = isElsewhere ? createCursorParts(areas, figure, layer, step, false) : [];
  for (const part of resting) part.classList.add('resting');
  overlay.classList.toggle('over-map', figure.layout.meta.grid !== undefined);
  overlay.replaceChildren(...resting, ...createCursorParts(areas, figure, hovered ?? layer, step, true));
}

/** Create the elements that mark the cursors in each plot area: lines, dots or a frame. @param {Area[]} areas @param {Figure} figure @param {number} layer @param {number | null} step @param {boolean} hasDots @returns {HTMLElement[]} */
function createCursorParts(areas, figure, layer, step, hasDots) {
  const { layers = {}, steps = {} } = figure.layout.meta;
  /** Return the position of the cursor on an axis, in the axis's numbers. @param {string} axis */
  const placeOn = (axis) =>
    axis in layers ? layer + 1 : step === null ? null : (stepsOn(figure, axis)?.[step] ?? null);
  return areas.flatMap((area) => {
    const [x, y] = [placeOn(area.x), placeOn(area.y)];
    if (layers[area.x] === 'window') return matrixFrame(area, layer);
    const isLine = (layers[area.x] ?? steps[area.x]) === 'line';
    return [
      ...(x === null ? [] : verticalLine(area, x)),
      ...(x !== null && isLine && hasDots ? curveDots(area, figure, x) : []),
      ...(y === null ? [] : horizontalLine(area, y)),
    ];
  });
}

/** Create an absolutely positioned element. @param {string} className @param {Record<string, number>} sides in pixels */
function createMark(className, sides) {
  const element = document.createElement('div');
  element.className = className;
  for (const [side, pixels] of Object.entries(sides)) element.style.setProperty(side, `${pixels.toFixed(1)}px`);
  return element;
}

/** Return whether a horizontal position is inside a plot area. @param {Area} area @param {number} x */
function isInside(area, x) {
  return x >= area.left - 0.5 && x <= area.left + area.width + 0.5;
}

/** Create a vertical line at a position of the horizontal axis. @param {Area} area @param {number} position */
function verticalLine(area, position) {
  const x = area.toX(position);
  return isInside(area, x) ? [createMark('cursor-x', { left: x - 0.5, top: area.top, height: area.height })] : [];
}

/** Create a horizontal line at a position of the vertical axis. @param {Area} area @param {number} position */
function horizontalLine(area, position) {
  const y = area.toY(position);
  const isSeen = y >= area.top && y <= area.top + area.height;
  return isSeen ? [createMark('cursor-y', { top: y - 0.5, left: area.left, width: area.width })] : [];
}

/** Create a frame around the cursor's matrix. @param {Area} area @param {number} cursor */
function matrixFrame(area, cursor) {
  const left = Math.max(area.left, area.toX(cursor + 0.5));
  const right = Math.min(area.left + area.width, area.toX(cursor + 1.5));
  if (right <= left) return [];
  return [createMark('cursor-frame', { left, top: area.top - 2, width: right - left, height: area.height + 4 })];
}

/** Create a dot on each curve at a position. @param {Area} area @param {Figure} figure @param {number} position */
function curveDots(area, figure, position) {
  const x = area.toX(position);
  if (!isInside(area, x)) return [];
  return curvePointsAt(figure, position).flatMap(({ value, color }) => {
    const y = area.toY(value) - area.top;
    if (y < -1 || y > area.height + 1) return [];
    const dot = createMark('cursor-dot', { left: x, top: area.top + y });
    dot.style.background = color;
    return [dot];
  });
}

/** Find the point of each curve at a position, in the order of runs; for a run with one line per stream, the largest and the smallest. @param {Figure} figure @param {number} position */
function curvePointsAt(figure, position) {
  return figure.data
    .filter((trace) => trace.visible !== false && trace.meta.end)
    .sort((one, other) => one.meta.run - other.meta.run)
    .flatMap((trace) =>
      outermostPoints(trace, position).map(({ index, names }) => ({
        value: Number(trace.y[index]),
        text: trace.text[index],
        run: trace.meta.run,
        names,
        color: trace.line.color,
      })),
    );
}

/**
 * Write the values of all curves at the cursor into an element: `at 17: 1.00 · 1.00 · 5.63`, each in its run's colour.
 * @param {HTMLElement} element
 * @param {Figure} figure
 * @param {{layer: number, step: number | null, hovered: number | null}} cursors from 0
 */
export function writeValues(element, figure, { layer, step, hovered }) {
  const { layers = {}, steps = {}, axes = {} } = figure.layout.meta;
  const isOfLayers = Object.values(layers).includes('line');
  const isOfSteps = Object.values(steps).includes('line');
  const position = isOfLayers
    ? (hovered ?? layer) + 1
    : isOfSteps && step !== null
      ? stepsOn(figure, 'xaxis')?.[step]
      : null;
  const points = position === null || position === undefined ? [] : curvePointsAt(figure, position);
  const isLog = axes.yaxis?.scale === 'log';
  const parts = points.map(({ value, text, run, names, color }) => {
    const part = document.createElement('b');
    const shownText = isLog ? formatFactor(value) : text;
    part.textContent = names ? `${shownText} (${names})` : shownText;
    part.dataset.run = String(run);
    part.style.setProperty('--run', color);
    return part;
  });
  const next = document.createElement('span');
  next.append(
    ...(parts.length > 0 ? [`at ${position}: `] : []),
    ...parts.flatMap((part, index) => (index > 0 ? [' · ', part] : [part])),
  );
  if (next.innerHTML !== element.innerHTML) element.replaceChildren(...next.childNodes); // equal ones would be laid out again
}
