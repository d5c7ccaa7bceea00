/** Exports of the picture: images of the same shapes, and numbers. */

import { formatValue } from '../data/numbers.js';
import { toCaption } from '../share/caption.js';
import {
  download,
  downloadBlob,
  downloadPdf,
  downloadText,
  footLine,
  loadPdf,
  paperTemplates,
} from '../share/export.js';
import { FONT } from '../share/paper.js';
import { editsByRun } from '../state/edits.js';
import * as state from '../state/signals.js';
import { copyImage, copyText, notify } from '../ui/clipboard.js';
import { clearCanvas, paintShapes } from './canvas.js';
import { toCaptionLines } from './captions.js';
import { toCursor, toFrame, toPlan, toStaticShapes } from './picture.js';
import { formatLog } from './scale.js';
import { moveShapes, toArea, toCorners, toText } from './shapes.js';
import { chooseShown, isLog, magnifiedRun, toPalette, toRuns } from './shown.js';
import { toSvg } from './svg.js';
import { MEANING, TITLE, toLayerTable, toSizeTable } from './words.js';

/** @typedef {import('../../types').Templates} Templates @typedef {import('./shapes.js').Shape} Shape */

const NAME = 'mhc-scope-picture';
const WIDTH_PX = 1200;
const PAPER_PX = 1000; // width in a PDF, at which text is small but legible
const PAD_PX = 20;
const HEAD_PX = 46;
const FOOT_PX = 30;
const DENSITY = 2;
const FRAME_PX = { above: 40, margin: 32 }; // space around the picture in a frame

/** Return the runs that the picture of the stacks shows on the page. @param {Templates} templates */
export function shownRuns(templates) {
  return toRuns(chooseShown(templates, null));
}

/** Return the shapes of the picture of the stacks at a width, without title. @param {Templates} templates @param {number} width */
function buildPicture(templates, width) {
  const plan = toPlan(shownRuns(templates), width, state.layers.value, {
    isLog: isLog.value,
    edits: editsByRun.value.map((marks) => marks.map((mark) => ({ ...mark, isOpen: false }))), // without handles
  });
  const { layout, runs } = plan;
  const layer = Math.min(state.cursor.value, layout.layers - 1);
  const shapes = [
    ...toStaticShapes(plan),
    toFrame(layout, layer),
    ...toCursor(plan, layer, state.chosenInterval.value, magnifiedRun(runs)),
    ...toCaptionLines(plan),
  ];
  return { shapes, width, height: layout.height, plan };
}

/** Return the shapes of the picture of the stacks with title and foot line, for images. @param {Templates} templates */
function buildTitledPicture(templates) {
  const { shapes, height, plan } = buildPicture(templates, WIDTH_PX - 2 * PAD_PX);
  const height_px = HEAD_PX + height + FOOT_PX;
  const words = [
    toText(PAD_PX, 24, TITLE, 'ink', { size: 16, isBold: true }),
    toText(PAD_PX, height_px - 16, footLine(), 'muted'),
  ];
  const moved = /** @type {Shape[]} */ ([...moveShapes(shapes, PAD_PX, HEAD_PX), ...words]);
  return { shapes: moved, width: WIDTH_PX, height: height_px, plan };
}

/** Export the picture as an image, as a data URL. @param {Templates} templates @param {'png' | 'svg'} format @returns {string} a data URL */
function toPictureUrl(templates, format) {
  const { shapes, width, height } = buildTitledPicture(templates);
  const palette = toPalette(templates);
  if (format === 'svg') return `data:image/svg+xml,${encodeURIComponent(toSvg(shapes, palette, { width, height }))}`;
  const canvas = document.createElement('canvas');
  const context = clearCanvas(canvas, width, height, DENSITY);
  paintShapes(context, [toArea(toCorners(0, 0, width, height), 'card'), ...shapes], palette);
  return canvas.toDataURL('image/png');
}

/** Record a video of the signal, if the browser supports it. @param {Templates} templates */
async function saveFilm(templates) {
  const { filmType, recordFilm } = await import('./film.js');
  const type = filmType();
  if (!type) return notify('This browser cannot record video. Use Chrome, Edge or Firefox.');
  notify('Recording 7 seconds …');
  const film = await recordFilm(
    { ...buildTitledPicture(templates), left: PAD_PX, top: HEAD_PX },
    toPalette(templates),
    type,
  );
  downloadBlob(film, `${NAME}.webm`);
}

/** Export the picture as SVG markup at a width in px. @param {Templates} templates @param {number} width */
export function toMarkup(templates, width) {
  const { shapes, height } = buildPicture(templates, width);
  return toSvg(shapes, toPalette(templates), { width, height });
}

/** Export the picture as PDF, in the light theme. @returns {Promise<Blob>} */
async function toPictureFile() {
  const templates = await paperTemplates();
  const { shapes, height } = buildPicture(templates, PAPER_PX);
  const size = { width: PAPER_PX, height };
  const { toPdf } = await loadPdf();
  const markup = toSvg(shapes, { ...toPalette(templates), font: FONT }, size);
  return toPdf(markup.replaceAll('font-weight="600"', 'font-weight="700"'), size, toCaption(TITLE, MEANING)); // the PDF has fonts of weights 400 and 700
}

/** Compute the frame height of the card for a width. @param {Templates} templates @param {number} width */
export function toFrameHeight(templates, width) {
  return Math.ceil(toPictureHeight(templates, width - FRAME_PX.margin) + FRAME_PX.above);
}

/** Compute the height of the picture for a width. @param {Templates} templates @param {number} width */
export function toPictureHeight(templates, width) {
  return toPlan(shownRuns(templates), width, state.layers.value).layout.height;
}

/** Export all sizes and gradients of the picture as text with a separator. @param {Templates} templates @param {string} separator */
export function toDelimited(templates, separator) {
  const runs = shownRuns(templates);
  const raw = (/** @type {number} */ log10) =>
    Number.isNaN(log10) ? '' : Math.abs(log10) < 300 ? 10 ** log10 : `1e${log10}`;
  const [sizes, gradients] = /** @type {const} */ (['sizes', 'gradients']).map((quantity) =>
    toSizeTable(runs, quantity, raw),
  );
  const head = [
    'after layer',
    ...sizes.head.slice(1).map((title) => `${title}, activation`),
    ...gradients.head.slice(1).map((title) => `${title}, gradient`),
  ];
  const rows = sizes.rows.map((row, index) => [...row, ...gradients.rows[index].slice(1)]);
  const quote = (/** @type {string | number} */ cell) =>
    /[",\n\t]/.test(String(cell)) ? `"${String(cell).replaceAll('"', '""')}"` : cell;
  return [head, ...rows].map((row) => `${row.map(quote).join(separator)}\n`).join('');
}

/** Return the tables of the card with the picture: sizes, gradients and weights. @param {Templates} templates */
export function toTables(templates) {
  const runs = shownRuns(templates);
  const show = (/** @type {number} */ value) => formatValue(value, null, undefined, 3);
  return [
    toLayerTable(runs, state.cursor.value, show),
    toSizeTable(runs, 'sizes', formatLog),
    toSizeTable(runs, 'gradients', formatLog),
  ];
}

/** List the exports of the picture, for its menu. @param {Templates} templates */
export function pictureItems(templates) {
  const numbers = () => toDelimited(templates, ',');
  return [
    {
      title: 'Copy as image',
      note: 'for a chat or a slide',
      run: () => void copyImage(Promise.resolve(toPictureUrl(templates, 'png'))).then(notify),
    },
    {
      title: 'PNG',
      note: 'image, twice the pixels',
      run: () => download(toPictureUrl(templates, 'png'), `${NAME}.png`),
    },
    { title: 'SVG', note: 'image for print', run: () => download(toPictureUrl(templates, 'svg'), `${NAME}.svg`) },
    {
      title: 'PDF',
      note: 'lines and letters, with a caption',
      run: () => void downloadPdf(toPictureFile(), `${NAME}.pdf`),
    },
    { title: 'Video', note: 'WebM: the signal passes', run: () => void saveFilm(templates) },
    { title: 'CSV', note: 'the numbers', run: () => downloadText(numbers(), 'text/csv', `${NAME}.csv`) },
    {
      title: 'Copy the numbers',
      note: 'for a spreadsheet',
      run: () => void copyText(toDelimited(templates, '\t')).then(notify),
    },
  ];
}
