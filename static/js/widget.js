/** Figures of records embedded in the document, with one cursor: for notebooks, without a server. */

import { addFrame, createColumns } from './data/columns.js';
import { depthOf, describeMissingMetrics } from './data/record.js';
import { carryRules } from './data/rules.js';
import { looks } from './figures/dress.js';
import { fill } from './figures/fill.js';
import { drawPlot, listenToPlot, scheduleDraw } from './plots/plot.js';
import { addSliders, canFillFigure, describeGains, toSliders } from './share/sliders.js';

/**
 * @typedef {import('../types').Columns} Columns @typedef {import('../types').Figure} Figure @typedef {import('../types').Panel} Panel
 * @typedef {{templates: import('../types').Templates, methods: import('../types').ViewRules['methods'], labels: string[],
 *   runs: any[][], layer: number, movable: import('./share/sliders.js').Movable[], derivation: import('../types').DerivationRules}} Given
 *   `runs` are the frames of each record; `layer` is from 0
 * @typedef {{panel: Panel, view: number, card: HTMLElement, plot: HTMLElement}} Shown
 */

const HEIGHT = 360;
const LOW = 24; // smallest width of a plot; below, its card is not laid out yet

/** @type {Given} */
const given = JSON.parse(/** @type {HTMLElement} */ (document.getElementById('given')).textContent ?? '');
Object.assign(looks, given.methods);
const records = given.runs.map(toColumns);
const named = records.map((columns, run) => ({ label: given.labels[run], columns }));
/** Columns derived for the sliders; null while they show the records. @type {Columns[] | null} */
let moved = null;
let layers = Math.max(1, ...records.map(depthOf));
const slider = /** @type {HTMLInputElement} */ (document.getElementById('layer'));
let layer = Math.min(given.layer, layers - 1);

/** Add up the frames of a record. @param {any[]} frames @returns {Columns} */
function toColumns(frames) {
  const columns = createColumns();
  for (const frame of frames) addFrame(columns, frame);
  return columns;
}

/** Append an element with a text to another element. @param {string} tag @param {string} text @param {HTMLElement} parent */
function appendElement(tag, text, parent) {
  const element = document.createElement(tag);
  element.textContent = text;
  parent.append(element);
  return element;
}

/** Return whether the widget shows a panel: that of training only if a record trains, that of edits only if one is edited. @param {Panel} panel */
function isShown({ key }) {
  if (key === 'effect') return records.some(({ layers }) => layers.has('effect_state'));
  return key !== 'training' || records.some(({ trained }) => trained > 0);
}

/** Add a panel's card to the widget of a notebook; null if no record has its numbers. The card notes metrics that recordings lack. @param {Panel} panel @returns {Shown | null} */
function addCard(panel) {
  const isFilled = panel.views.map(({ figure }) => hasData(fill(figure, records, given.labels, layer)));
  const missing = isShown(panel) ? panel.views.flatMap(({ figure }) => describeMissingMetrics(figure, named)) : [];
  if (!isFilled.includes(true) && missing.length === 0) return null;
  const card = appendElement('section', '', /** @type {HTMLElement} */ (document.getElementById('cards')));
  card.dataset.panel = panel.key;
  appendElement('h2', panel.title, card);
  for (const text of new Set(missing)) appendElement('p', text, card).className = 'missing';
  if (!isFilled.includes(true)) return null;
  const shown = { panel, view: isFilled.indexOf(true), card, plot: card };
  if (isFilled.filter(Boolean).length > 1) addViews(shown, isFilled);
  shown.plot = appendElement('div', '', card);
  return shown;
}

/** Add buttons to a card of the widget that choose the view of its figure. @param {Shown} shown @param {boolean[]} isFilled */
function addViews(shown, isFilled) {
  const select = /** @type {HTMLSelectElement} */ (appendElement('select', '', shown.card));
  select.setAttribute('aria-label', `${shown.panel.title}, view`);
  for (const [index, { title }] of shown.panel.views.entries())
    if (isFilled[index]) appendElement('option', title, select).setAttribute('value', String(index));
  select.onchange = () => {
    shown.view = Number(select.value);
    drawCard(shown);
  };
}

/** Return whether a figure of the widget shows data. @param {Figure} figure */
function hasData({ data }) {
  return data.some((trace) => trace.visible !== false);
}

/** Draw the figure of a card of the widget. @param {Shown} shown */
function drawCard(shown) {
  const template = shown.panel.views[shown.view].figure;
  const known = moved !== null && canFillFigure(template, moved) ? moved : null;
  shown.card.classList.toggle('waits', moved !== null && known === null);
  const figure = fill(template, known ?? records, given.labels, layer);
  const { layout } = figure;
  layout.shapes = [...(layout.shapes ?? []), ...toCursor(layout)];
  const width = shown.plot.clientWidth;
  if (width < LOW) return;
  const isNew = shown.plot.childElementCount === 0;
  drawPlot(shown.plot, figure, { width, height: layout.height ?? HEIGHT });
  if (isNew) moveToClickedLayer(shown);
}

/** Build a line across the plot for each layer axis. @param {Figure['layout']} layout */
function toCursor(layout) {
  const axes = Object.entries(layout.meta.layers ?? {}).filter(([, kind]) => kind !== 'sources');
  return axes.map(([name]) => {
    const [along, across] = name.startsWith('x') ? ['x', 'y'] : ['y', 'x'];
    const place = { [`${along}ref`]: name.replace('axis', ''), [`${along}0`]: layer + 1, [`${along}1`]: layer + 1 };
    const span = { [`${across}ref`]: `${layout[name].anchor ?? across} domain`, [`${across}0`]: 0, [`${across}1`]: 1 };
    return { type: 'line', ...place, ...span, line: { color: layout.meta.muted ?? '#888', width: 1.5, dash: 'dot' } };
  });
}

/** Move the cursor to a layer when its position in a plot is clicked. @param {Shown} shown */
function moveToClickedLayer({ panel, view, plot }) {
  const axes = Object.keys(panel.views[view].figure.layout.meta.layers ?? {});
  const nothing = () => {};
  const onClick = (/** @type {Record<string, number>} */ places) => {
    const axis = axes.find((name) => name in places);
    if (axis) moveTo(Math.round(places[axis]) - 1);
  };
  listenToPlot(plot, { onClick, onDoubleClick: nothing, onHover: nothing, onMove: nothing, onZoom: nothing });
}

/** Move the cursor of the widget to a layer. @param {number} wanted */
function moveTo(wanted) {
  const next = Math.min(layers - 1, Math.max(0, wanted));
  if (next === layer || Number.isNaN(next)) return;
  layer = next;
  drawAllCards();
  parent.postMessage({ layer }, '*'); // to the notebook that embeds this document; the layer is all that it receives
}

/** Draw the figures of all cards of the widget. */
function drawAllCards() {
  slider.value = String(layer + 1);
  /** @type {HTMLElement} */ (document.getElementById('place')).textContent = `layer ${layer + 1} of ${layers}`;
  for (const shown of cards) scheduleDraw(shown.panel.key, () => drawCard(shown));
}

/** Show columns derived for the sliders. @param {Columns[] | null} runs */
function showMoved(runs) {
  moved = runs;
  layers = Math.max(1, ...(runs ?? records).map(depthOf));
  slider.max = String(layers);
  document.getElementById('stories')?.classList.toggle('waits', runs !== null);
  const before = layer;
  layer = Math.min(layer, layers - 1);
  drawAllCards();
  if (layer !== before) parent.postMessage({ layer }, '*');
  return runs === null ? 'As computed.' : describeGains(runs, given.labels);
}

/** Add headline and findings of a record. @param {Columns} columns @param {number} run */
function addStory({ summary, story: soFar }, run) {
  const story = appendElement('section', '', /** @type {HTMLElement} */ (document.getElementById('stories')));
  appendElement('h2', given.labels[run], story);
  const summaryOrStory = summary ?? soFar;
  if (!summaryOrStory) return;
  appendElement('p', summaryOrStory.headline.text, story).className = 'headline';
  const sentences = appendElement('ul', '', story);
  for (const { text } of summaryOrStory.findings) appendElement('li', text, sentences);
}

for (const [run, columns] of records.entries()) addStory(columns, run);
const cards = carryRules(given.templates).panels.flatMap((panel) => addCard(panel) ?? []);
const sliders = toSliders(given.movable, records, given.derivation);
const sliderBox = /** @type {HTMLElement} */ (document.getElementById('try-it'));
sliderBox.hidden = sliders.length === 0;
addSliders({ runs: records, sliders, derivation: given.derivation }, sliderBox, showMoved);
slider.max = String(layers);
slider.oninput = () => moveTo(Number(slider.value) - 1);
window.onmessage = ({ source, data }) => {
  if (source === parent && Number.isInteger(data?.layer)) moveTo(data.layer);
};
new ResizeObserver(drawAllCards).observe(document.body);
drawAllCards();
