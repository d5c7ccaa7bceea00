/** Saves the view as one HTML file: collects the data from the page for `standalone.js`. */

import { render } from 'preact';
import { Missing } from '../cards/card.js';
import { CostTables, loadCosts, PaperClaim } from '../cards/costs.js';
import { TheoryNotes } from '../cards/theory.js';
import { formatValue } from '../data/numbers.js';
import { methodOf, sourceOf, specOf } from '../data/record.js';
import { toRunStyles } from '../figures/dress.js';
import { toMarkup as toPicture, toTables } from '../picture/files.js';
import { HELP, MEANING, TITLE } from '../picture/words.js';
import { describeInterval, toCardTitle, unitOf } from '../plots/places.js';
import { toSvg } from '../plots/plot.js';
import { heightOf } from '../plots/plotbox.js';
import { fillShown } from '../plots/shown.js';
import { toTable } from '../plots/table.js';
import { downloadText } from '../share/export.js';
import { toBase64 } from '../share/pack.js';
import { toNotes, toSettings } from '../share/report.js';
import { toFileName, toSavedPage } from '../share/standalone.js';
import { loadTemplates, theme } from '../state/look.js';
import { preset, toHeadline } from '../state/presets.js';
import * as state from '../state/signals.js';
import { kindName } from '../state/spec.js';
import { cells, drawIn, sourceOf as sourceOfSweep } from '../state/sweeper.js';
import { loadTrainSteps } from '../state/trainsteps.js';
import {
  cornerText,
  describeAxes,
  describeSharedSettings,
  fitSweepFigure,
  missingText,
  READING,
  toSweepNumbers,
} from '../sweep/cells.js';
import { html } from '../ui/html.js';
import { collectLiveData } from './liveview.js';

/** @typedef {import('../../types').Figure} Figure @typedef {import('../../types').Panel} Panel @typedef {import('../../types').Templates} Templates */

const WIDTH_PX = 930; // width of the column in the file, so that fonts keep their size
const LINES_PX = 310;
const COLORS = ['--page', '--card', '--raised', '--ink', '--muted', '--line', '--accent'];
const FONTS = ['--font', '--mono'];
const COST = {
  key: 'cost',
  title: 'Cost',
  unit: 'predicted, of one run',
  help: null,
  svg: '',
  paper: '',
  numbers: null,
  meaning: 'What each connection adds to this stack: hardly any arithmetic, but memory traffic.',
};

/**
 * Download the view as one HTML file that needs no server.
 * @param {{title: string, note: string}} words
 * @param {{title: string, url: string}[]} links to the live page
 * @returns {Promise<{bytes: number, hasSliders: boolean}>} properties of the file
 */
export async function saveView(words, links) {
  const content = await collectContent(words, links);
  const text = toSavedPage(content);
  downloadText(text, 'text/html', toFileName(words.title));
  return { bytes: new Blob([text]).size, hasSliders: content.live !== null };
}

/** Collect the content of the saved file. @param {{title: string, note: string}} words @param {{title: string, url: string}[]} links @returns {Promise<import('../share/standalone.js').SavedView>} */
async function collectContent(words, links) {
  const isDark = theme.value === 'dark';
  const slots = state.slots.value;
  const onPaper = isDark ? await loadTemplates(slots.length, 'light') : null;
  await Promise.all([loadCosts(), loadTrainSteps()]);
  const cards = [];
  for (const panel of state.shownPanels.value) cards.push(await toCard(panel, onPaper));
  const columns = slots.map((slot) => slot.columns);
  const methods = columns.map(methodOf);
  const styles = { light: toRunStyles(methods, 'light'), dark: toRunStyles(methods, 'dark') };
  return {
    ...words,
    links,
    cards: [
      toPictureCard(/** @type {Templates} */ (state.templates.value), onPaper),
      ...cards,
      ...(await toSweepCard(isDark)),
      { ...COST, supplement: toMarkup(html`<${CostTables} /><${PaperClaim} />`) },
    ],
    live: await collectLiveData(),
    nonce: toBase64(crypto.getRandomValues(new Uint8Array(12))),
    made: new Date().toLocaleString('en-GB', { dateStyle: 'long', timeStyle: 'short' }),
    version: columns[0].start?.versions.mhc_scope ?? '',
    palettes: { screen: readPalette(isDark), paper: readPalette(false), isDark },
    settings: toSettings(state.fields.value, columns.map(specOf)),
    notes: [
      ...presetNotes(),
      ...toNotes(
        columns,
        slots.map((slot) => slot.label),
        state.isDifference.value,
        describeInterval(),
      ),
    ],
    runs: slots.map((slot, run) => ({
      label: slot.label,
      id: slot.id,
      color: styles[theme.value][run]?.color ?? '',
      paperColor: styles.light[run]?.color ?? '',
      source: slot.columns.start && toShown(sourceOf(slot.columns.start)),
      headline: toHeadlineText(slot.columns),
      findings: (slot.columns.summary?.findings ?? []).map(({ text, numbers }) => ({
        text,
        numbers: Object.entries(numbers).map(
          ([name, value]) => /** @type {[string, string]} */ ([name, formatValue(value)]),
        ),
      })),
    })),
  };
}

/** Return the headline of a run for the saved file; in a preset's view that of the preset. @param {import('../../types').Columns} columns */
function toHeadlineText(columns) {
  const number = preset.value && toHeadline(preset.value, columns);
  if (preset.value && number !== null) return `${number} (${preset.value.told})`;
  return columns.summary?.headline.text ?? columns.end?.status ?? '';
}

/** Return text and source of the preset. */
function presetNotes() {
  if (!preset.value) return [];
  const { title, description, reference } = preset.value;
  const source = reference ? [`${reference.source}: ${reference.says} ${reference.scale}`] : [];
  return [`${title}. ${description}`, ...source];
}

/** Return the spec of a run, which can be submitted, or the source of a recording. @param {import('../data/record.js').Source} source */
const toShown = (source) => (source.kind === 'spec' ? source.spec : source);

/** Build the card of a panel in the saved file. @param {Panel} panel @param {Templates | null} onPaper @returns {Promise<import('../share/standalone.js').Card>} */
async function toCard(panel, onPaper) {
  const view = state.viewOf(panel);
  const other = onPaper?.panels.find((item) => item.key === panel.key);
  const layer = state.cursor.value + 1;
  const unit = unitOf(view);
  return {
    key: panel.key,
    title: toCardTitle(panel, view),
    unit: panel.views.length > 1 ? `${unit} · ${view.title}` : unit,
    meaning: view.meaning,
    help: panel.help,
    svg: await drawForFile(panel, view.figure),
    paper: other ? await drawForFile(panel, state.viewOf(other).figure) : '',
    supplement: [
      panel.key === 'theory' ? toMarkup(html`<${TheoryNotes} panel=${panel} view=${view} />`) : '',
      toMarkup(html`<${Missing} figure=${view.figure} />`),
    ].join(''),
    numbers: toNumbers(panel, layer),
  };
}

/** Build the card of the picture in the saved file. @param {Templates} now @param {Templates | null} onPaper @returns {import('../share/standalone.js').Card} */
function toPictureCard(now, onPaper) {
  const [{ caption, head, rows }] = toTables(now);
  return {
    key: 'picture',
    title: TITLE,
    unit: '',
    meaning: MEANING,
    help: HELP,
    svg: toPicture(now, WIDTH_PX),
    paper: onPaper ? toPicture(onPaper, WIDTH_PX) : '',
    supplement: '',
    numbers: { caption, head, rows: rows.map((row) => row.map((cell) => ({ text: String(cell), value: null }))) },
  };
}

/** Build the card of the open sweep in the saved file; none without cells. @param {boolean} isDark @returns {Promise<import('../share/standalone.js').Card[]>} */
async function toSweepCard(isDark) {
  const { sweep } = state.view.value;
  if (!sweep || !cells.value || !sourceOfSweep(sweep)) return [];
  const { values, figure } = cells.value;
  const fields = state.fields.value;
  const drawSweep = (/** @type {Figure} */ drawn) => {
    const { figure: fitted, height } = fitSweepFigure(drawn, WIDTH_PX);
    return toSvg(fitted, { width: WIDTH_PX, height });
  };
  const kind = kindName(state.view.value.runs[sweep.run].kind);
  const { title } = values;
  const { head, rows } = toSweepNumbers(sweep, values);
  const { meaning, formula, source } = values.metric;
  return [
    {
      key: 'map',
      title: 'Sweep',
      unit: `${describeAxes(fields, sweep)} · ${describeSharedSettings(fields, state.view.value, sweep)}`,
      meaning: [`${title}.`, meaning, missingText(values.counts)].filter(Boolean).join(' '),
      help: { formula, reading: READING, symbol: values.metric.key, source },
      svg: await drawSweep(figure),
      paper: isDark ? await drawSweep(await drawIn(sweep, 'light')) : '',
      supplement: '',
      numbers: { caption: `${title}, of ${kind}`, head: [cornerText(fields, sweep), ...head], rows },
    },
  ];
}

/** Draw a card's figure as SVG at the width of the saved file. @param {Panel} panel @param {Figure} template */
async function drawForFile(panel, template) {
  const figure = fillShown(panel, template);
  const height = figure.layout.meta.grid ? heightOf(figure, false) : LINES_PX;
  return toSvg(figure, { width: WIDTH_PX, height });
}

/** Build the table of a card in the saved file, with texts and numbers. @param {Panel} panel @param {number} layer */
function toNumbers(panel, layer) {
  const [read, raw] = [toTable(panel, false), toTable(panel, true)];
  const places = read.head.map((title) => raw.head.indexOf(title));
  const isOfLayer = panel.table.length === 0 || ['row', 'read'].includes(panel.table[0].source);
  return {
    caption: isOfLayer ? `${panel.title}, at layer ${layer} of ${state.layers.value}` : panel.title,
    head: read.head,
    rows: read.rows.map((cells, row) =>
      cells.map((cell, column) => {
        const value = raw.rows[row][places[column]];
        return {
          text: typeof cell === 'number' ? formatValue(cell) : String(cell),
          value: typeof value === 'number' && Number.isFinite(value) ? value : null,
        };
      }),
    ),
  };
}

/** Render a component to HTML for the saved file, without buttons. @param {any} part */
function toMarkup(part) {
  const box = document.createElement('div');
  render(part, box);
  for (const button of box.querySelectorAll('button')) button.remove();
  const markup = box.innerHTML;
  render(null, box);
  return markup;
}

/** Compute the colours of a theme; `tokens.css` defines both themes with `light-dark()`. @param {boolean} isDark @returns {Record<string, string>} */
function readPalette(isDark) {
  const sample = document.createElement('i');
  sample.style.colorScheme = isDark ? 'dark' : 'light';
  document.body.append(sample);
  const style = getComputedStyle(sample);
  const colors = COLORS.map((name) => {
    sample.style.color = `var(${name})`;
    return [name, style.color];
  });
  const fonts = FONTS.map((name) => [name, style.getPropertyValue(name).trim()]);
  sample.remove();
  return Object.fromEntries([...colors, ...fonts]);
}
