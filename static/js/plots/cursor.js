/** Draws the cursors of layer and step over a plot in HTML, so that moving them redraws no figure, or into its sketch, and writes the values there. */

import { formatFactor } from '../data/gain.js';
import { inclusiveRange } from '../data/numbers.js';
import { stepsOn } from '../figures/steps.js';

/** @typedef {import('../../types').Figure} Figure @typedef {import('../../types').Trace} Trace @typedef {import('./plot.js').Area} Area */
/** A line, a dot or a frame that marks a cursor: the class of its element, and its place in px. @typedef {{className: string, sides: Record<string, number>, color?: string}} Mark */
/** Layer and step from 0; null for none. @typedef {{layer: number, step: number | null, hovered: number | null}} Cursors */

/** Draw the cursors over a plot. @param {HTMLElement} overlay @param {Area[]} areas of the subplots @param {Figure} figure @param {Cursors} cursors */
export function drawCursor(overlay, areas, figure, cursors) {
  overlay.classList.toggle('over-heatmap', figure.layout.meta.grid !== undefined);
  placeMarks(overlay, listMarks(areas, figure, cursors));
}

/** Return whether the cursors of a figure can be drawn into its sketch: lines and dots over curves. @param {Figure} figure */
export function canPaintCursor({ layout: { meta } }) {
  return Object.values({ ...meta.layers, ...meta.steps }).every((kind) => kind === 'line');
}

/**
 * Draw the cursors into the sketch of a figure for which `canPaintCursor` holds, as they look over a plot. During a drag the browser then
 * has no elements to lay out.
 * @param {CanvasRenderingContext2D} pen
 * @param {Area[]} areas
 * @param {Figure} figure
 * @param {Cursors} cursors
 */
export function paintCursor(pen, areas, figure, cursors) {
  for (const { className, sides, color } of listMarks(areas, figure, cursors)) {
    const isResting = className.endsWith(RESTING);
    pen.globalAlpha = isResting ? RESTING_ALPHA : color ? 1 : LINE_ALPHA;
    pen.fillStyle = color ?? figure.layout.meta.ink;
    pen.beginPath();
    if (color) pen.arc(sides.left, sides.top, DOT_PX / 2, 0, 2 * Math.PI);
    else pen.rect(Math.round(sides.left), Math.round(sides.top), sides.width ?? 1, sides.height ?? 1);
    pen.fill();
  }
  pen.globalAlpha = 1;
}

/** List the marks of the cursors in all plot areas. While the pointer is over a layer of any figure, that layer is marked too, with the dots on the curves. @param {Area[]} areas @param {Figure} figure @param {Cursors} cursors @returns {Mark[]} */
function listMarks(areas, figure, { layer, step, hovered }) {
  const isElsewhere = hovered !== null && hovered !== layer && Object.keys(figure.layout.meta.layers ?? {}).length > 0;
  const resting = isElsewhere ? toMarks(areas, figure, layer, step, false) : [];
  return [
    ...resting.map((mark) => ({ ...mark, className: mark.className + RESTING })),
    ...toMarks(areas, figure, hovered ?? layer, step, true),
  ];
}

const RESTING = ' resting';
// As in panels.css.
const [LINE_ALPHA, RESTING_ALPHA, DOT_PX] = [0.75, 0.3, 7];

/** Styles that elements have. @type {WeakMap<Element, string>} */
const styles = new WeakMap();

/** Show marks in an overlay: elements that are there are moved, because the browser styles and lays out new ones. @param {HTMLElement} overlay @param {Mark[]} marks */
function placeMarks(overlay, marks) {
  while (overlay.children.length > marks.length) overlay.lastElementChild?.remove();
  for (const [index, mark] of marks.entries()) {
    const [{ className }, style] = [mark, styleOf(mark)];
    const element = /** @type {HTMLElement} */ (
      overlay.children[index] ?? overlay.appendChild(document.createElement('div'))
    );
    if (element.className !== className) element.className = className;
    if (styles.get(element) !== style) element.style.cssText = style;
    styles.set(element, style);
  }
}

/** List the marks of the cursors in each plot area: lines, dots or a frame. @param {Area[]} areas @param {Figure} figure @param {number} layer @param {number | null} step @param {boolean} hasDots @returns {Mark[]} */
function toMarks(areas, figure, layer, step, hasDots) {
  const { layers = {}, steps = {} } = figure.layout.meta;
  /** Return the position of the cursor on an axis, in the axis's numbers. @param {string} axis */
  const placeOn = (axis) =>
    axis in layers ? layer + 1 : step === null ? null : (stepsOn(figure, axis)?.[step] ?? null);
  return areas.flatMap((area) => {
    const [x, y] = [placeOn(area.x), placeOn(area.y)];
    if (layers[area.x] === 'window') return matrixFrame(area, layer);
    const isLine = (layers[area.x] ?? steps[area.x]) === 'line';
    return [
      ...(x === null ? [] : toVerticalLine(area, x)),
      ...(x !== null && isLine && hasDots ? curveDots(area, figure, x) : []),
      ...(y === null ? [] : toHorizontalLine(area, y)),
    ];
  });
}

/** Return the style of a mark's element. @param {Mark} mark */
function styleOf({ sides, color }) {
  const place = Object.entries(sides).map(([side, pixels]) => `${side}: ${pixels.toFixed(1)}px;`);
  return [...place, ...(color ? [`background: ${color};`] : [])].join(' ');
}

/** Return whether a horizontal position in px is inside a plot area. @param {Area} area @param {number} x */
function isInside(area, x) {
  return x >= area.left - 0.5 && x <= area.left + area.width + 0.5;
}

/** Return a vertical line at a position of the horizontal axis, as a mark; [] outside of the plot. @param {Area} area @param {number} position */
function toVerticalLine(area, position) {
  const x = area.toX(position);
  return isInside(area, x)
    ? [{ className: 'cursor-x', sides: { left: x - 0.5, top: area.top, height: area.height } }]
    : [];
}

/** Return a horizontal line at a position of the vertical axis, as a mark; [] outside of the plot. @param {Area} area @param {number} position */
function toHorizontalLine(area, position) {
  const y = area.toY(position);
  const isSeen = y >= area.top && y <= area.top + area.height;
  return isSeen ? [{ className: 'cursor-y', sides: { top: y - 0.5, left: area.left, width: area.width } }] : [];
}

/** Draw a frame around the matrix of the cursor's layer. @param {Area} area @param {number} cursor */
function matrixFrame(area, cursor) {
  const left = Math.max(area.left, area.toX(cursor + 0.5));
  const right = Math.min(area.left + area.width, area.toX(cursor + 1.5));
  if (right <= left) return [];
  return [
    { className: 'cursor-frame', sides: { left, top: area.top - 2, width: right - left, height: area.height + 4 } },
  ];
}

/** Mark each curve with a dot at a position. @param {Area} area @param {Figure} figure @param {number} position */
function curveDots(area, figure, position) {
  const x = area.toX(position);
  if (!isInside(area, x)) return [];
  return curvePointsAt(figure, position).flatMap(({ value, color }) => {
    const y = area.toY(value) - area.top;
    if (y < -1 || y > area.height + 1) return [];
    return [{ className: 'cursor-dot', sides: { left: x, top: area.top + y }, color }];
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

const MAX_NAMED = 3;

/**
 * Find the points of a trace at the cursor: one, or for several streams the largest and the smallest, if their texts differ.
 * @param {Trace} trace `meta.parts` names what `customdata` numbers, such as streams
 * @param {number} position on the axis
 * @returns {{index: number, names: string}[]} `names` is empty for a single line
 */
export function outermostPoints(trace, position) {
  /** @type {number[]} */
  const parts = [...trace.x.keys()].filter((index) => trace.x[index] === position);
  const found = parts.filter((index) => trace.y[index] !== null).sort((a, b) => trace.y[a] - trace.y[b]);
  const [least, most] = [found[0], found[found.length - 1]];
  const ends = found.length < 2 || trace.text[least] === trace.text[most] ? found.slice(0, 1) : [most, least];
  return ends.map((index) => ({ index, names: nameCurves(trace, parts, index) }));
}

/** Name all lines that show the same text as one of them. @param {Trace} trace @param {number[]} parts @param {number} index */
function nameCurves({ meta, customdata, text }, parts, index) {
  if (!meta.parts || parts.length < 2) return '';
  const alike = parts.filter((other) => text[other] === text[index]).map((other) => customdata[other]);
  if (alike.length === parts.length) return `all ${parts.length} ${meta.parts}s`;
  if (alike.length > MAX_NAMED) return `${alike.length} ${meta.parts}s`;
  return `${meta.parts}${alike.length > 1 ? 's' : ''} ${alike.join(', ')}`;
}

/**
 * Write the values of all curves at the cursor into an element: `at 17: 1.00 · 1.00 · 5.63`, each in its run's colour.
 * @param {HTMLElement} element
 * @param {Figure} figure
 * @param {Cursors} cursors
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
    const shownText = isLog ? formatFactor(value) : Number.isFinite(value) ? toFixedText(value) : text;
    return { text: names ? `${shownText} (${names})` : shownText, run, color };
  });
  if (element.children.length !== parts.length) element.replaceChildren(...createValues(parts.length));
  if (parts.length > 0) setText(/** @type {Text} */ (element.firstChild), `at ${position}: `);
  for (const [index, { text, run, color }] of parts.entries()) {
    const part = /** @type {HTMLElement} */ (element.children[index]);
    setText(/** @type {Text} */ (part.firstChild), text);
    if (part.dataset.run !== String(run)) part.dataset.run = String(run);
    if (styles.get(part) !== color) part.style.setProperty('--run', color);
    styles.set(part, color);
  }
}

/** Format a value of a linear axis with four digits, also if the last ones are 0. @param {number} value */
function toFixedText(value) {
  if (value === 0) return '0';
  return `${value < 0 ? '−' : ''}${formatFactor(Math.log10(Math.abs(value)), 4)}`;
}

/** Create the nodes of so many values: what precedes them, and dots between them. @param {number} count */
function createValues(count) {
  return inclusiveRange(0, count - 1).flatMap((index) => {
    const part = document.createElement('b');
    part.append('');
    return [document.createTextNode(index > 0 ? ' · ' : ''), part];
  });
}

/** Write a text if it differs: an equal one would be laid out again. @param {Text} node @param {string} text */
function setText(node, text) {
  if (node.data !== text) node.data = text;
}
