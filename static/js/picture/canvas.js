/** Paints shapes on a canvas. */

import { colorAt } from './colors.js';
import { DASH } from './shapes.js';

/** @typedef {import('./shapes.js').Shape} Shape @typedef {import('./shapes.js').Palette} Palette */

const HALO_PX = 3;
/** Least width of a slice of a ribbon, which has one colour, in device px. */
const SLICE_PX = 16;
/** Width of the narrowest curve that becomes two thin ones, and number of opacities of merged curves. */
const MERGED = { thick_px: 1.5, levels: 16 };

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

/**
 * Paint shapes on a canvas, in order.
 * @param {CanvasRenderingContext2D} context @param {Shape[]} shapes @param {Palette} palette
 * @param {boolean} [isQuick] default false; for a drag: curves are a pixel wide and painted together, and ribbons change their colour in small
 *   steps. Without a graphics card, this takes half the time
 */
export function paintShapes(context, shapes, palette, isQuick = false) {
  for (const shape of isQuick ? mergeCurves(shapes) : shapes) {
    const painter =
      /** @type {(context: CanvasRenderingContext2D, shape: any, palette: Palette, isQuick: boolean) => void} */ (
        SHAPE_PAINTERS[shape.kind]
      );
    painter(context, shape, palette, isQuick);
  }
  context.globalAlpha = 1;
}

/** Functions that paint a shape, by kind. */
const SHAPE_PAINTERS = {
  /** @param {CanvasRenderingContext2D} context @param {import('./shapes.js').Area} shape @param {Palette} palette @param {boolean} isQuick */
  area(context, { points, color, opacity, heats }, palette, isQuick) {
    context.globalAlpha = opacity;
    if (heats && isQuick) {
      for (const slice of toSlices(points, heats, context.getTransform().a)) {
        context.fillStyle = colorAt(palette[color], slice.stop, palette);
        tracePolygon(context, slice.points);
        context.fill();
      }
      return;
    }
    context.fillStyle = heats ? toColorRow(context, points, heats, palette[color], palette) : palette[color];
    tracePolygon(context, points);
    context.fill();
  },
  /** @param {CanvasRenderingContext2D} context @param {import('./shapes.js').Line} shape @param {Palette} palette */
  line(context, { points, color, opacity, width, isDashed, isCurve }, palette) {
    context.globalAlpha = opacity;
    context.strokeStyle = palette[color];
    context.lineWidth = width;
    if (isDashed) context.setLineDash(DASH);
    if (isCurve) traceCurves(context, points);
    else tracePolygon(context, points);
    context.stroke();
    if (isDashed) context.setLineDash([]);
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
  /** @param {CanvasRenderingContext2D} context @param {import('./shapes.js').Clip} shape @param {Palette} palette @param {boolean} isQuick */
  clip(context, { x, y, width, height, shapes }, palette, isQuick) {
    context.save();
    context.beginPath();
    context.rect(x, y, width, height);
    context.clip();
    paintShapes(context, shapes, palette, isQuick);
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

/**
 * Split a ribbon into slices, each with the stop whose colour it has. They meet at whole device pixels, so that no seam is visible.
 * @param {number[]} points along the upper edge, and back along the lower @param {import('./shapes.js').Stop[]} heats @param {number} density device pixels per CSS pixel
 * @returns {{points: number[], stop: import('./shapes.js').Stop}[]}
 */
export function toSlices(points, heats, density) {
  const [last, end] = [points.length / 2 - 2, points.length - 1]; // of the upper edge, and of all
  const slices = [];
  let [stop, upper, lower] = [1, /** @type {number[]} */ ([]), /** @type {number[]} */ ([])];
  for (let at = 0; at <= last; at += 2) {
    const before = Math.max(0, at - 2);
    const parts = Math.max(1, Math.floor((density * (points[at] - points[before])) / SLICE_PX));
    for (let part = 1; part <= parts; part++) {
      const mix = (/** @type {number} */ from, /** @type {number} */ to) => from + (part / parts) * (to - from);
      const x = Math.round(density * mix(points[before], points[at])) / density;
      upper.push(x, mix(points[before + 1], points[at + 1]));
      lower.unshift(x, mix(points[end - before], points[end - at]));
      const isLast = at === last && part === parts;
      if (at === 0 || (density * (x - upper[0]) < SLICE_PX && !isLast)) continue;
      const middle = ((upper[0] + x) / 2 - points[0]) / (points[last] - points[0]);
      while (stop < heats.length - 1 && heats[stop].at < middle) stop++;
      slices.push({ points: [...upper, ...lower], stop: mixStops(heats[stop - 1], heats[stop], middle) });
      [upper, lower] = [upper.slice(-2), lower.slice(0, 2)];
    }
  }
  return slices;
}

/** Return the stop at a position between two others. @param {import('./shapes.js').Stop} from @param {import('./shapes.js').Stop} to @param {number} at */
function mixStops(from, to, at) {
  const share = (at - from.at) / (to.at - from.at);
  return { at, heat: from.heat + share * (to.heat - from.heat), fade: from.fade + share * (to.fade - from.fade) };
}

/** Merge curves that follow each other into lines of a pixel, one for each colour, dash and opacity; thick ones become two thin ones. @param {Shape[]} shapes @returns {Shape[]} */
export function mergeCurves(shapes) {
  /** @type {Shape[]} */
  const merged = [];
  let lines = new Map();
  for (const shape of shapes) {
    if (shape.kind !== 'line' || !shape.isCurve) {
      merged.push(shape);
      lines = new Map();
      continue;
    }
    const { points, color, opacity, width, isDashed } = shape;
    const level = Math.round(MERGED.levels * opacity * Math.min(1, width));
    const key = [color, isDashed, level].join();
    if (!lines.has(key)) {
      lines.set(key, { ...shape, points: [], opacity: level / MERGED.levels, width: 1 });
      merged.push(lines.get(key));
    }
    const half = width > MERGED.thick_px ? (width - 1) / 2 : 0;
    addMoved(lines.get(key).points, points, half);
    if (half > 0) addMoved(lines.get(key).points, points, -half);
  }
  return merged;
}

/** Add the points of a curve, moved away from the line through its ends. @param {number[]} all @param {number[]} points @param {number} distance in px */
function addMoved(all, points, distance) {
  const [across, down] = [points[6] - points[0], points[7] - points[1]];
  const unit = distance / (Math.hypot(across, down) || 1);
  for (let at = 0; at < points.length; at += 2) all.push(points[at] - unit * down, points[at + 1] + unit * across);
}

/** Add a polygon to the path of a canvas. @param {CanvasRenderingContext2D} context @param {number[]} points */
function tracePolygon(context, points) {
  context.beginPath();
  context.moveTo(points[0], points[1]);
  for (let index = 2; index < points.length; index += 2) context.lineTo(points[index], points[index + 1]);
}

/** Add cubic curves to the path of a canvas. @param {CanvasRenderingContext2D} context @param {number[]} points eight numbers for each */
function traceCurves(context, points) {
  context.beginPath();
  for (let at = 0; at < points.length; at += 8) {
    context.moveTo(points[at], points[at + 1]);
    context.bezierCurveTo(
      points[at + 2],
      points[at + 3],
      points[at + 4],
      points[at + 5],
      points[at + 6],
      points[at + 7],
    );
  }
}
