/** Converts shapes to SVG. No browser here. */

import { escapeMarkup } from '../data/markup.js';
import { WIDER, widthOf } from '../data/textwidth.js';
import { colorAt } from './colors.js';
import { DASH } from './shapes.js';

/** @typedef {import('./shapes.js').Shape} Shape @typedef {import('./shapes.js').Palette} Palette */

/** Build the SVG markup of the picture from its shapes. @param {Shape[]} shapes @param {Palette} palette @param {{width: number, height: number}} size */
export function toSvg(shapes, palette, { width, height }) {
  const body = drawAll(shapes, palette);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="${escapeMarkup(palette.font)}">
<rect width="${width}" height="${height}" fill="${palette.card}"/>
${body}
</svg>`;
}

/** Numbers gradients and clips: their ids must be unique within a page. */
let count = 0;

/** Return the SVG elements of shapes of the picture. @param {Shape[]} shapes @param {Palette} palette */
function drawAll(shapes, palette) {
  return shapes
    .map((shape) => {
      const draw = /** @type {(shape: any, palette: Palette) => string} */ (SHAPE_BUILDERS[shape.kind]);
      return draw(shape, palette);
    })
    .join('\n');
}

/** Functions that build the element of a shape, by kind. */
const SHAPE_BUILDERS = {
  /** @param {import('./shapes.js').Area} shape @param {Palette} palette */
  area({ points, color, opacity, heats }, palette) {
    const name = `g${count++}`;
    const fill = heats ? `url(#${name})` : palette[color];
    const polygon = `<polygon points="${points.map(round).join(' ')}" fill="${fill}" fill-opacity="${round(opacity)}"/>`;
    return heats ? toGradient(name, points, heats, palette[color], palette) + polygon : polygon;
  },
  /** @param {import('./shapes.js').Line} shape @param {Palette} palette */
  line({ points, color, opacity, width, isDashed, isCurve }, palette) {
    const [x, y, ...rest] = points.map(round);
    const dash = isDashed ? ` stroke-dasharray="${DASH.join(' ')}"` : '';
    return `<path d="M${x} ${y}${isCurve ? 'C' : 'L'}${rest.join(' ')}" fill="none" stroke="${palette[color]}" stroke-width="${round(width)}" stroke-opacity="${round(opacity)}"${dash}/>`;
  },
  /** @param {import('./shapes.js').Dot} shape @param {Palette} palette */
  dot: ({ x, y, radius, color, fill }, palette) =>
    `<circle cx="${round(x)}" cy="${round(y)}" r="${round(radius)}" fill="${palette[fill]}" stroke="${palette[color]}" stroke-width="2"/>`,
  /** @param {import('./shapes.js').Box} shape @param {Palette} palette */
  box: ({ x, y, width, height, radius, color, fill, opacity }, palette) =>
    `<rect x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}" rx="${radius}" fill="${palette[fill]}" fill-opacity="${opacity}" stroke="${palette[color]}"/>`,
  /** @param {import('./shapes.js').Text} shape @param {Palette} palette */
  text({ x, y, text, size, color, anchor, isBold, hasHalo, ground, title }, palette) {
    const halo = hasHalo
      ? ` stroke="${palette.card}" stroke-width="3" stroke-linejoin="round" paint-order="stroke"`
      : '';
    const weight = isBold ? ' font-weight="600"' : '';
    return `${ground && text ? toGround(x, y, widthOf(text, size, isBold), anchor, ground, palette) : ''}<text x="${round(x)}" y="${round(y)}" font-size="${size}" dominant-baseline="central" text-anchor="${anchor}" fill="${palette[color]}"${weight}${halo}>${title ? `<title>${escapeMarkup(title)}</title>` : ''}${escapeMarkup(text)}</text>`;
  },
  /** @param {import('./shapes.js').Clip} shape @param {Palette} palette */
  clip({ x, y, width, height, shapes }, palette) {
    const name = `c${count++}`;
    return `<clipPath id="${name}"><rect x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}"/></clipPath>
<g clip-path="url(#${name})">${drawAll(shapes, palette)}</g>`;
  },
};

/** Return the SVG element of a text's background, whose width is estimated. @param {number} x @param {number} y @param {number} width @param {'start' | 'middle' | 'end'} anchor @param {import('./shapes.js').Ground} ground @param {Palette} palette */
function toGround(x, y, width, anchor, { pad, half, opacity }, palette) {
  const wide = WIDER * width + 2 * pad;
  const left = x - pad - { start: 0, middle: (WIDER * width) / 2, end: WIDER * width }[anchor];
  return `<rect x="${round(left)}" y="${round(y - half)}" width="${round(wide)}" height="${2 * half}" fill="${palette.card}" fill-opacity="${opacity}"/>`;
}

/** Return the SVG definition of a ribbon's gradient. @param {string} name @param {number[]} points @param {import('./shapes.js').Stop[]} heats @param {string} color @param {Palette} palette */
function toGradient(name, points, heats, color, palette) {
  const stops = heats.map((stop) => `<stop offset="${round(stop.at)}" stop-color="${colorAt(color, stop, palette)}"/>`);
  const [left, right] = [points[0], points[points.length / 2 - 2]].map(round);
  return `<linearGradient id="${name}" gradientUnits="userSpaceOnUse" x1="${left}" y1="0" x2="${right}" y2="0">${stops.join('')}</linearGradient>`;
}

/** Round a coordinate to hundredths of a pixel. @param {number} value */
function round(value) {
  return Math.round(value * 100) / 100;
}
