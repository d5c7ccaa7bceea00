/** Chooses black or white text on a colour: one of them always has a contrast of at least 4.5. */

import { formatFixed } from '../data/numbers.js';

/** @typedef {import('../../types').Figure} Figure @typedef {import('../../types').Trace} Trace */

/** Relative luminance of sRGB at which black and white are equally far. */
const EVEN = 0.179;
const LETTER = 0.6; // width of a letter as a share of its font size
const ROOM_PX = 640; // width of all matrices in one row, in a picture of 700 px
/** Smallest and largest font size, in px. @type {[number, number]} */
const SIZES = [7, 12];

/** @typedef {[number, string][]} ColorScale stops from 0 to 1, colours as #rrggbb or rgb() */

/** A stop of a colour scale. @typedef {{place: number, rgb: number[]}} Stop */

/** Parse the colours of a scale. @param {ColorScale} scale @returns {Stop[]} */
export function parseScale(scale) {
  return scale.map(([place, color]) => ({ place, rgb: toRgb(color) }));
}

/**
 * Interpolate the colour at a position on a scale as Plotly does; beyond the ends it is that of the end.
 * @param {Stop[]} stops
 * @param {number} share from 0 to 1
 * @param {number[] | Uint8ClampedArray} [color] where red, green and blue are written, 0 to 255; default a new list
 * @param {number} [at] the place of red in it; default 0
 */
export function colorAt(stops, share, color = [0, 0, 0], at = 0) {
  let above = 1;
  while (above < stops.length - 1 && stops[above].place < share) above++;
  const [low, high] = [stops[above - 1], stops[above]];
  const part = Math.min(1, Math.max(0, (share - low.place) / (high.place - low.place)));
  for (let index = 0; index < 3; index++)
    color[at + index] = low.rgb[index] + part * (high.rgb[index] - low.rgb[index]);
  return color;
}

/** Return the legible text colour at a position on a colour scale. @param {ColorScale} scale @param {number} share from 0 to 1 */
export function textColorOn(scale, share) {
  const at = Number.isNaN(share) ? 0.5 : share; // NaN: an axis without extent, or a cell without a number
  return luminance([...colorAt(parseScale(scale), at)]) > EVEN ? '#000000' : '#ffffff';
}

/** Parse a colour into red, green and blue. @param {string} color @returns {number[]} 0 to 255 */
function toRgb(color) {
  if (color.startsWith('#')) return [1, 3, 5].map((start) => Number.parseInt(color.slice(start, start + 2), 16));
  return (color.match(/[\d.]+/g) ?? []).slice(0, 3).map(Number);
}

/** Compute the relative luminance of WCAG. @param {number[]} rgb */
export function luminance(rgb) {
  const [red, green, blue] = rgb.map((value) =>
    value <= 10.31 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4,
  );
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/**
 * Return a copy of a figure that draws the numbers of heatmap cells as a text trace with legible colours, on fixed axes: image files
 * cannot be recoloured after Plotly has drawn them.
 * @param {Figure} figure
 * @returns {Figure}
 */
export function writeNumbers({ data, layout }) {
  const found = { data: [...data], layout: { ...layout } };
  const numbered = data.filter((trace) => trace.visible !== false && trace.texttemplate);
  const room =
    ROOM_PX /
    Math.max(
      1,
      numbered.reduce((sum, trace) => sum + trace.z[0].length, 0),
    );
  for (const trace of numbered) {
    const { colorscale, cmin, cmax } = layout.coloraxis;
    const [rows, columns] = [trace.z.length, trace.z[0].length];
    const cells = Array.from({ length: rows * columns }, (_, cell) => [Math.floor(cell / columns), cell % columns]);
    const [x, y] = [`xaxis${trace.xaxis.slice(1)}`, `yaxis${trace.yaxis.slice(1)}`];
    found.layout[x] = { ...layout[x], range: [0.5, columns + 0.5], autorange: false };
    found.layout[y] = { ...layout[y], range: [rows + 0.5, 0.5], autorange: false };
    found.data[data.indexOf(trace)] = { ...trace, texttemplate: '' };
    const text = cells.map(([row, column]) => toText(trace, row, column));
    found.data.push({
      type: 'scatter',
      mode: 'text',
      x: cells.map(([, column]) => column + 1),
      y: cells.map(([row]) => row + 1),
      text,
      textfont: {
        color: cells.map(([row, column]) => textColorOn(colorscale, (trace.z[row][column] - cmin) / (cmax - cmin))),
        size: fitLetters(text, room),
      },
      hoverinfo: 'skip',
      meta: { run: trace.meta.run, key: trace.meta.key, fill: {} },
      xaxis: trace.xaxis,
      yaxis: trace.yaxis,
    });
  }
  return found;
}

/** Return the font size in px at which the longest number fits its cell, within the limits. @param {string[]} texts @param {number} room in pixels */
function fitLetters(texts, room) {
  return Math.min(SIZES[1], Math.max(SIZES[0], lettersIn(texts, room)));
}

/** Return the font size in px at which the longest text fills its cell. @param {string[]} texts @param {number} room in pixels */
export function lettersIn(texts, room) {
  return Math.floor(room / (LETTER * Math.max(1, ...texts.map((text) => [...text].length))));
}

/** Format the number that a cell of a heatmap shows. @param {Trace} trace @param {number} row @param {number} column @returns {string} */
export function toText({ texttemplate, text, z }, row, column) {
  if (texttemplate === '%{text}') return text[row][column];
  return formatFixed(z[row][column], 2);
}
