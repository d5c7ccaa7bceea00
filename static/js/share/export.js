/** Exports of a card: images, numbers, and the figure itself. */

import { describeRecord } from '../data/record.js';
import { shownOf } from '../figures/drawing.js';
import { API, ApiError } from '../net/api.js';
import { toCardTitle, unitOf } from '../plots/places.js';
import { toImage, toSvg } from '../plots/plot.js';
import { heightOf } from '../plots/plotbox.js';
import { fillShown } from '../plots/shown.js';
import { toDelimited } from '../plots/table.js';
import { boot } from '../state/boot.js';
import { loadTemplates, theme } from '../state/look.js';
import * as state from '../state/signals.js';
import { kindName } from '../state/spec.js';
import { copyImage, copyText, notify } from '../ui/clipboard.js';
import { toCaption } from './caption.js';
import { FONT, MissingPart, WIDTH_PX } from './paper.js';
import { toFigurePath, toFigureQuery } from './snippets.js';

/** @typedef {import('../../types').Panel} Panel @typedef {import('../../types').PanelView} PanelView */

const IMAGE = { width: 960, height: 420 };

/** Download a URL as a file. @param {string} url @param {string} name */
export function download(url, name) {
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
}

/** Download a text as a file. @param {string} text @param {string} type @param {string} name */
export function downloadText(text, type, name) {
  downloadBlob(new Blob([text], { type }), name);
}

/** Download a blob as a file. @param {Blob} blob @param {string} name */
export function downloadBlob(blob, name) {
  const url = URL.createObjectURL(blob);
  download(url, name);
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Build the foot line of exported images. */
export function footLine() {
  const ids = state.slots.value.map((slot) => slot.id.slice(0, 8) || 'not confirmed yet').join(', ');
  const all = state.slots.value.map((slot) => shownOf(slot, (columns) => columns.start !== null).columns);
  return `mHC Scope · ${all.length > 0 ? describeRecord(all[0], all) : ''} · runs ${ids}`;
}

/** Build the query of the server's figure as the card shows it. @param {Panel} panel */
export function figureQuery(panel) {
  const usual = state.view.value.runs.map(
    (choice, run) => `${boot.rules.letters[run]} ${state.models.value[run] ?? kindName(choice.kind)}`,
  );
  const labels = state.labels.value;
  return toFigureQuery({
    view: state.viewOf(panel).key,
    layer: state.cursor.value,
    step: state.step.value,
    interval: state.chosenInterval.value,
    theme: theme.value,
    difference: state.isDifference.value,
    labels: labels.join() === usual.join() ? null : labels,
  });
}

/** Return the address of the server's figure of a card. @param {Panel} panel */
function figureUrl(panel) {
  return (
    API +
    toFigurePath(
      state.slots.value.map((slot) => slot.id),
      panel.key,
      figureQuery(panel),
    )
  );
}

/** Export the card's figure as an image with title. @param {Panel} panel @param {PanelView} view @param {'png' | 'svg'} format @returns {Promise<string>} a data URL */
function drawImage(panel, view, format) {
  return toImage(fillShown(panel, view.figure), format, exportTitle(panel, view), footLine(), IMAGE);
}

/** Download a PDF and show messages, because loading fonts and libraries takes time. @param {Promise<Blob>} making @param {string} name */
export async function downloadPdf(making, name) {
  notify('Making the PDF …');
  try {
    downloadBlob(await making, name);
    notify(`Saved as ${name}`);
  } catch (error) {
    if (!(error instanceof ApiError || error instanceof MissingPart)) throw error;
    notify(`Couldn't make the PDF: the server is unreachable (${error.message}).`);
  }
}

/** Load the module that creates PDF files. */
export function loadPdf() {
  return import('./pdf.js').catch((/** @type {Error} */ error) => {
    throw new MissingPart(error.message);
  });
}

/** Export the card's figure as PDF, in the light theme. @param {Panel} panel @returns {Promise<Blob>} */
async function drawPdf(panel) {
  const onPaper = await paperTemplates();
  const template = onPaper.panels.find(({ key }) => key === panel.key) ?? panel;
  const view = state.viewOf(template);
  const figure = fillShown(panel, view.figure);
  const size = { width: WIDTH_PX, height: heightOf(figure, false, WIDTH_PX) };
  return figureToPdf(figure, size, toCaption(exportTitle(panel, view), view.meaning));
}

/** Convert a figure to PDF, laid out in the font of the file. @param {import('../../types').Figure} figure @param {{width: number, height: number}} size @param {import('./caption.js').Caption} caption @returns {Promise<Blob>} */
export async function figureToPdf({ data, layout }, size, caption) {
  const { loadFonts, toPdf } = await loadPdf();
  await loadFonts();
  const lettered = { data, layout: { ...layout, font: { ...layout.font, family: FONT } } };
  return toPdf(await toSvg(lettered, size), size, caption);
}

/** Load the templates of figures in the light theme, for paper. */
export const paperTemplates = () => loadTemplates(state.view.value.runs.length, 'light');

/** Return title and unit of a card. @param {Panel} panel @param {PanelView} view */
const exportTitle = (panel, view) => `${toCardTitle(panel, view)} · ${unitOf(view)}`;

/** Download the server's figure once all runs have ids. @param {Panel} panel @param {string} name */
function downloadFigure(panel, name) {
  if (state.slots.value.every((slot) => slot.id)) download(figureUrl(panel), name);
  else notify('Available when all runs are done.');
}

/** Show the resulting message of an action. @param {Promise<string>} doing */
const notifyWhenDone = (doing) => void doing.then(notify);

/** List the menu items that export the figure of a card. @param {Panel} panel @param {PanelView} view */
export function exportItems(panel, view) {
  const name = `mhc-scope-${panel.key}`;
  const downloadImage = (/** @type {'png' | 'svg'} */ format) =>
    void drawImage(panel, view, format).then((url) => download(url, `${name}.${format}`));
  return [
    {
      title: 'Copy as image',
      note: 'for a chat or a slide',
      run: () => notifyWhenDone(copyImage(drawImage(panel, view, 'png'))),
    },
    { title: 'PNG', note: 'image, twice the pixels', run: () => downloadImage('png') },
    { title: 'SVG', note: 'image for print', run: () => downloadImage('svg') },
    {
      title: 'PDF',
      note: 'vector graphics, with a caption',
      run: () => void downloadPdf(drawPdf(panel), `${name}.pdf`),
    },
    { title: 'CSV', note: 'the numbers', run: () => downloadText(toDelimited(panel, ','), 'text/csv', `${name}.csv`) },
    { title: 'JSON', note: 'the Plotly figure', run: () => downloadFigure(panel, `${name}.json`) },
    {
      title: 'Copy the numbers',
      note: 'for a spreadsheet',
      run: () => notifyWhenDone(copyText(toDelimited(panel, '\t'))),
    },
  ];
}
