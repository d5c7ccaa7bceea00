/** Draws matrices and their colour bar on the canvas of a sketch, where Plotly draws them. */

import { colorAt, parseScale, textColorOn, toText } from '../figures/ink.js';

/** @typedef {import('../../types').Figure} Figure @typedef {import('../../types').Trace} Trace @typedef {import('./plot.js').Area} Area */
/** Colours of the matrices of a figure: `low` and `high` are the numbers at the ends of the scale. @typedef {{low: number, high: number, scale: [number, string][]}} Colors */
/** Place of all plots of a figure, in px. @typedef {{left: number, top: number, width: number, height: number}} Paper */

// As in Plotly: where a colour bar begins, as a share of the width, and the distance of its numbers; what is free next to it.
const BAR = { at: 1.02, gap_px: 3, free_px: 12 };
const LINE = 1.3; // from line to line, as a share of the size

/** Return the horizontal or vertical range of the cells of a matrix. @param {Trace} trace @param {'x' | 'y'} letter @returns {[number, number]} */
export function cellRange(trace, letter) {
  const count = letter === 'x' ? trace.z[0].length : trace.z.length;
  const [first, step] = [trace[`${letter}0`], trace[`d${letter}`]];
  return [first - step / 2, first + (count - 0.5) * step];
}

/** Find the colours of a figure's matrices; null if it shows none. A scale without both ends is that of all numbers. @param {Figure} figure @returns {Colors | null} */
export function toColors({ data, layout: { coloraxis } }) {
  const shown = data.filter(({ type, visible }) => type === 'heatmap' && visible !== false);
  if (shown.length === 0) return null;
  const { colorscale: scale, cmin, cmax } = coloraxis;
  if (cmin < cmax) return { low: cmin, high: cmax, scale };
  let [low, high] = [Infinity, -Infinity];
  for (const value of shown.flatMap(({ z }) => z.map((/** @type {any} */ row) => [...row])).flat()) {
    if (!Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return low < high ? { low, high, scale } : { low: low - 0.5, high: high + 0.5, scale };
}

/** Draw the cells of a matrix; those without a number stay blank. @param {CanvasRenderingContext2D} pen @param {Trace} trace @param {Area} area @param {Colors} colors */
export function drawCells(pen, trace, area, { low, high, scale }) {
  const { z, xgap = 0, ygap = 0 } = trace;
  const [rows, columns] = [z.length, z[0].length];
  const { toX, toY } = toEdges(trace, area);
  const [[left, right], [start, end]] = [
    [toX(0), toX(columns)],
    [toY(0), toY(rows)],
  ];
  const image = new ImageData(columns, rows);
  const stops = parseScale(scale);
  for (let row = 0; row < rows; row++) {
    const from = columns * (start < end ? row : rows - 1 - row);
    for (let column = 0; column < columns; column++) {
      const value = z[row][column];
      if (!Number.isFinite(value)) continue;
      const at = 4 * (from + column);
      colorAt(stops, (value - low) / (high - low), image.data, at);
      image.data[at + 3] = 255;
    }
  }
  const canvas = new OffscreenCanvas(columns, rows);
  canvas.getContext('2d')?.putImageData(image, 0, 0);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(canvas, left, Math.min(start, end), right - left, Math.abs(end - start));
  const [top, height] = [area.top - ygap, area.height + 2 * ygap];
  if (xgap) for (let edge = 0; edge <= columns; edge++) pen.clearRect(toX(edge) - xgap / 2, top, xgap, height);
  if (ygap) for (let edge = 0; edge <= rows; edge++) pen.clearRect(left, toY(edge) - ygap / 2, right - left, ygap);
}

/** Return functions from the edge of a column or row, from 0, to whole px from the corner of the plot. @param {Trace} trace @param {Area} area */
function toEdges({ x0, dx, y0, dy }, area) {
  return {
    toX: (/** @type {number} */ edge) => area.left + Math.round(area.toX(x0 + (edge - 0.5) * dx) - area.left),
    toY: (/** @type {number} */ edge) => area.top + Math.round(area.toY(y0 + (edge - 0.5) * dy) - area.top),
  };
}

/** Write the numbers of a matrix into its cells, as large as they fit. @param {CanvasRenderingContext2D} pen @param {Trace} trace @param {Area} area @param {Colors} colors @param {{size: number, family: string}} font */
export function writeCells(pen, trace, area, { low, high, scale }, font) {
  const { z, x0, dx, y0, dy, xgap = 0, ygap = 0 } = trace;
  const texts = z.map((/** @type {any} */ line, /** @type {number} */ row) =>
    Array.from(line, (_, column) => toText(trace, row, column)),
  );
  const letters = Math.max(...texts.flat().map((/** @type {string} */ text) => text.length));
  const width = Math.abs(area.toX(dx) - area.toX(0)) - xgap;
  const height = Math.abs(area.toY(dy) - area.toY(0)) - ygap;
  const size = Math.min(Math.floor(width / letters / (LINE / 2)), Math.floor(height / LINE), font.size);
  if (size <= 0) return;
  Object.assign(pen, { font: `${size}px ${font.family}`, textAlign: 'center', textBaseline: 'alphabetic' });
  for (const [row, line] of texts.entries()) {
    for (const [column, text] of line.entries()) {
      pen.fillStyle = textColorOn(scale, (z[row][column] - low) / (high - low));
      pen.fillText(text, area.toX(x0 + column * dx), area.toY(y0 + row * dy) + 0.35 * size);
    }
  }
}

/**
 * Compute the right margin of a figure with a colour bar: Plotly makes room for the numbers of the bar.
 * @param {Record<string, any>} layout
 * @param {number} numbers_px width of the longest number
 * @param {number} width of the figure, in px
 * @returns {number} in px
 */
export function marginWithBar({ margin, coloraxis: { colorbar } }, numbers_px, width) {
  const free = Math.min(BAR.free_px, margin.l, margin.r, margin.t, margin.b);
  const room = 2 * colorbar.xpad + colorbar.thickness + numbers_px + free;
  return Math.max(margin.r, Math.round((room + (margin.l - width) * (1 - BAR.at)) / BAR.at));
}

/** Draw the colours of a bar, and return where its numbers begin and how a number becomes a height. @param {CanvasRenderingContext2D} pen @param {Colors} colors @param {any} colorbar @param {Paper} paper */
export function drawBar(pen, { low, high, scale }, { thickness, xpad }, { left, top, width, height }) {
  const x = left + Math.round(BAR.at * width + xpad);
  const bottom = top + height;
  const fill = pen.createLinearGradient(0, bottom, 0, top);
  for (const [place, color] of scale) fill.addColorStop(place, color);
  pen.fillStyle = fill;
  pen.fillRect(x, top, thickness, height);
  return {
    x: x + thickness + BAR.gap_px,
    toY: (/** @type {number} */ value) => bottom - (height * (value - low)) / (high - low),
  };
}
