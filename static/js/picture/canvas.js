/** Paints shapes on a canvas. */

import { colorAt } from './colors.js';
import { DASH } from './shapes.js';

/** @typedef {import('./shapes.js').Shape} Shape @typedef {import('./shapes.js').Palette} Palette */

const HALO_PX = 3;

/** Resize and clear a canvas. @param {HTMLCanvasElement} canvas @param {number} width in CSS pixels @param {number} height in CSS pixels @param {number} density device pixels per CSS pixel */
export function clearCanvas(canvas, width, height, density) {
  const [wide, high] = [Math.round(width * density), Math.round(height * density)];
  if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, wide, high);
  context.setTransform(density, 0, 0, density, 0, 0);
  return context;
}

/** Paint shapes on a canvas, in order. @param {CanvasRenderingContext2D} context @param {Shape[]} shapes @param {Palette} palette */
export function paintShapes(context, shapes, palette) {
  for (const shape of shapes) {
    const painter = /** @type {(context: CanvasRenderingContext2D, shape: any, palette: Palette) => void} */ (
      SHAPE_PAINTERS[shape.kind]
    );
    painter(context, shape, palette);
  }
  context.globalAlpha = 1;
}

/** Functions that paint a shape, by kind. */
const SHAPE_PAINTERS = {
  /** @param {CanvasRenderingContext2D} context @param {import('./shapes.js').Area} shape @param {Palette} palette */
  area(context, { points, color, opacity, heats }, palette) {
    context.globalAlpha = opacity;
    context.fillStyle = heats ? toColorRow(context, points, heats, palette[color], palette) : palette[color];
    tracePolygon(context, points);
    context.fill();
  },
  /** @param {CanvasRenderingContext2D} context @param {import('./shapes.js').Line} shape @param {Palette} palette */
  line(context, { points, color, opacity, width, isDashed, isCurve }, palette) {
    context.globalAlpha = opacity;
    context.strokeStyle = palette[color];
    context.lineWidth = width;
    context.setLineDash(isDashed ? DASH : []);
    if (isCurve) traceCurve(context, points);
    else tracePolygon(context, points);
    context.stroke();
    context.setLineDash([]);
  },
  /** @param {CanvasRenderingContext2D} context @param {import('./shapes.js').Dot} shape @param {Palette} palette */
  dot(context, { x, y, radius, color, fill }, palette) {
    context.globalAlpha = 1;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fillStyle = palette[fill];
    context.fill();
    context.lineWidth = 2;
    context.strokeStyle = palette[color];
    context.stroke();
  },
  /** @param {CanvasRenderingContext2D} context @param {import('./shapes.js').Box} shape @param {Palette} palette */
  box(context, { x, y, width, height, radius, color, fill, opacity }, palette) {
    context.beginPath();
    context.roundRect(x, y, width, height, radius);
    context.globalAlpha = opacity;
    context.fillStyle = palette[fill];
    context.fill();
    context.globalAlpha = 1;
    context.lineWidth = 1;
    context.strokeStyle = palette[color];
    context.stroke();
  },
  /** @param {CanvasRenderingContext2D} context @param {import('./shapes.js').Text} shape @param {Palette} palette */
  text(context, { x, y, text, size, color, anchor, isBold, hasHalo, ground }, palette) {
    context.globalAlpha = 1;
    context.font = `${isBold ? 600 : 400} ${size}px ${palette.font}`;
    context.textAlign = anchor === 'middle' ? 'center' : anchor;
    context.textBaseline = 'middle';
    if (ground) paintGround(context, context.measureText(text).width, { x, y, anchor, ground }, palette);
    if (hasHalo) {
      context.lineWidth = HALO_PX;
      context.lineJoin = 'round';
      context.strokeStyle = palette.card;
      context.strokeText(text, x, y);
    }
    context.fillStyle = palette[color];
    context.fillText(text, x, y);
  },
  /** @param {CanvasRenderingContext2D} context @param {import('./shapes.js').Clip} shape @param {Palette} palette */
  clip(context, { x, y, width, height, shapes }, palette) {
    context.save();
    context.beginPath();
    context.rect(x, y, width, height);
    context.clip();
    paintShapes(context, shapes, palette);
    context.restore();
  },
};

/** Paint the background of a text of this width on a canvas. @param {CanvasRenderingContext2D} context @param {number} width @param {{x: number, y: number, anchor: string, ground: import('./shapes.js').Ground}} place @param {Palette} palette */
function paintGround(context, width, { x, y, anchor, ground: { pad, half, opacity } }, palette) {
  if (width === 0) return;
  const left = anchor === 'start' ? x : anchor === 'end' ? x - width : x - width / 2;
  context.globalAlpha = opacity;
  context.fillStyle = palette.card;
  context.fillRect(left - pad, y - half, width + 2 * pad, 2 * half);
  context.globalAlpha = 1;
}

/** Holds one row of pixels while a pattern is made of it. @type {HTMLCanvasElement | null} */
let row = null;

/**
 * Create a fill whose colour changes from the left end of an outline to its right end: a pattern of one row of device pixels. Without a graphics
 * card, a wide ribbon is filled in half the time of a gradient, which is computed for each pixel of each row.
 * @param {CanvasRenderingContext2D} context only scaled and moved @param {number[]} points @param {import('./shapes.js').Stop[]} heats @param {string} color @param {Palette} palette
 */
function toColorRow(context, points, heats, color, palette) {
  row ??= document.createElement('canvas');
  const { width } = context.canvas;
  if (row.width !== width) Object.assign(row, { width, height: 1 });
  const toDevice = context.getTransform();
  const [left, right] = [points[0], points[points.length / 2 - 2]].map((x) => toDevice.a * x + toDevice.e);
  const pen = /** @type {CanvasRenderingContext2D} */ (row.getContext('2d'));
  const gradient = pen.createLinearGradient(left, 0, right, 0);
  for (const stop of heats) gradient.addColorStop(stop.at, colorAt(color, stop, palette));
  pen.fillStyle = gradient;
  pen.clearRect(0, 0, width, 1);
  pen.fillRect(0, 0, width, 1);
  const pattern = /** @type {CanvasPattern} */ (context.createPattern(row, 'repeat-y'));
  pattern.setTransform(toDevice.inverse());
  return pattern;
}

/** Add a polygon to the path of a canvas. @param {CanvasRenderingContext2D} context @param {number[]} points */
function tracePolygon(context, points) {
  context.beginPath();
  context.moveTo(points[0], points[1]);
  for (let index = 2; index < points.length; index += 2) context.lineTo(points[index], points[index + 1]);
}

/** Add a cubic curve to the path of a canvas. @param {CanvasRenderingContext2D} context @param {number[]} points */
function traceCurve(context, [x0, y0, x1, y1, x2, y2, x3, y3]) {
  context.beginPath();
  context.moveTo(x0, y0);
  context.bezierCurveTo(x1, y1, x2, y2, x3, y3);
}
