/** In a file that was saved of a view: sliders for what follows from its runs, without a server. What else the file shows needs no script. */

import { createColumns } from './data/columns.js';
import { fillDifference } from './data/difference.js';
import { choose } from './data/drawing.js';
import { fill } from './data/fill.js';
import { formatValue } from './data/numbers.js';
import { depthOf, specOf } from './data/record.js';
import { withRules } from './data/rules.js';
import { drawPlot } from './figures/plot.js';
import { know } from './instant/known.js';
import { looks } from './lines/dress.js';
import { unpack } from './share/pack.js';

/** @typedef {import('../types').Columns} Columns @typedef {import('../types').Figure} Figure @typedef {import('./controls/liveview.js').Slider} Slider */
/** A figure of the file, as it was saved and as it follows. @typedef {{section: HTMLElement, still: HTMLElement, live: HTMLElement, template: Figure}} Card */

const LEAST_PX = 620; // of a figure, as those that stand still
const COMPOSITE = 'composite_gain_fwd';

/** @type {import('./controls/liveview.js').Given} */
const given = unpack(/** @type {HTMLElement} */ (document.getElementById('given')).textContent ?? '');
Object.assign(looks, given.methods);
const hand = /** @type {HTMLElement} */ (document.getElementById('hand'));
const said = /** @type {HTMLElement} */ (hand.querySelector('.said'));
const cards = given.panels.flatMap(({ key, figure }) => toCard(key, withRules(figure, given.rules)));
/** Where each slider is, by the path of its setting. */
const places = new Map(given.sliders.map(({ path, value }) => [path, value]));
let frame = 0;

/** @param {string} key @param {Figure} template @returns {Card[]} */
function toCard(key, template) {
  const section = /** @type {HTMLElement} */ (document.getElementById(key));
  const still = /** @type {HTMLElement | null} */ (section.querySelector('.figure:not(.on-paper)'));
  if (!still) return [];
  const live = document.createElement('div');
  live.className = 'live';
  live.hidden = true;
  live.setAttribute('role', 'img');
  live.setAttribute('aria-label', `${section.querySelector('h2')?.textContent}, as the sliders have it`);
  still.after(live);
  return [{ section, still, live, template }];
}

/** @param {Slider} slider */
function addSlider({ path, title, unit, stops, value }) {
  const [label, output, input] = ['label', 'output', 'input'].map((tag) => document.createElement(tag));
  const range = /** @type {HTMLInputElement} */ (input);
  const tell = (/** @type {number} */ at) => {
    output.textContent = String(at);
    range.value = String(stops.indexOf(at));
    range.setAttribute('aria-valuetext', `${at} ${unit}`);
  };
  Object.assign(range, { type: 'range', min: '0', max: String(stops.length - 1), step: '1' });
  label.append(`${title} `, output, range);
  label.dataset.path = path;
  hand.querySelector('.sliders')?.append(label);
  tell(value);
  range.oninput = () => {
    const before = /** @type {number} */ (places.get(path));
    places.set(path, stops[Number(range.value)]);
    const known = follow();
    if (known === null) places.set(path, before);
    tell(/** @type {number} */ (places.get(path)));
    if (known === null) said.textContent = 'That does not follow from these runs.';
    else showSoon(known);
  };
}

/** The runs as the sliders have them; null where one of them is not known. @returns {Columns[] | null} */
function follow() {
  if (isAsSaved()) return given.runs;
  const known = given.runs.map((columns) => know(columns, toWanted(columns), given.atOnce));
  return known.every((columns) => columns !== null) ? known : null;
}

const isAsSaved = () => given.sliders.every(({ path, value }) => places.get(path) === value);

/** @param {Columns} columns @returns {import('./instant/known.js').Wanted} */
function toWanted(columns) {
  const { noise, sinkhorn_iters } = specOf(columns)?.connection ?? {};
  return {
    layers: Math.min(depthOf(columns), places.get('depth') ?? Infinity),
    noise: places.get('connection.noise') ?? noise,
    rounds: places.get('connection.sinkhorn_iters') ?? sinkhorn_iters,
  };
}

/** Once a frame, all of it. @param {Columns[]} runs */
function showSoon(runs) {
  cancelAnimationFrame(frame);
  frame = requestAnimationFrame(() => show(runs));
}

/** @param {Columns[]} runs */
function show(runs) {
  const isMoved = !isAsSaved();
  for (const card of cards) draw(card, isMoved ? runs : null);
  // Of what was saved, and no figure that follows.
  for (const part of document.querySelectorAll('.run, .settings, .numbers, .beside')) dim(part, isMoved);
  const others = document.querySelectorAll('.panel');
  for (const part of others) if (!cards.some(({ section }) => section === part)) dim(part, isMoved);
  said.textContent = isMoved ? sayGains(runs) : 'As saved.';
}

/** @param {Card} card @param {Columns[] | null} runs null for what was saved */
function draw({ still, live, template }, runs) {
  const slots = (runs ?? []).map((known, run) => ({
    ...{ id: '', asked: undefined, label: given.labels[run], columns: createColumns(), place: null, known, before: [] },
  }));
  const { results, labels } = choose(template, slots, []);
  const isKnown = runs !== null && results.every((columns, run) => columns === runs[run]);
  dim(still, runs !== null && !isKnown);
  still.classList.toggle('replaced', isKnown);
  live.hidden = !isKnown;
  if (!isKnown) return;
  const layer = Math.min(given.layer, Math.max(...results.map(depthOf)) - 1);
  const figure = (given.isDifference ? fillDifference : fill)(template, results, labels, layer);
  const height = Number(still.querySelector('svg')?.getAttribute('height'));
  drawPlot(live, figure, { width: Math.max(LEAST_PX, live.clientWidth), height });
}

/** @param {Element} part @param {boolean} waits */
function dim(part, waits) {
  part.classList.toggle('waits', waits);
}

/** The largest gain of each run, in words. @param {Columns[]} runs */
function sayGains(runs) {
  const gains = runs.map((columns, run) => {
    const logs = /** @type {Float64Array | undefined} */ (columns.log10.get(COMPOSITE));
    const log10 = Math.max(...(logs ?? []).filter(Number.isFinite));
    return `${given.labels[run]} ${Number.isFinite(log10) ? formatValue(10 ** log10, log10, undefined, 3) : 'not known'}`;
  });
  return `Largest gain forward: ${gains.join(', ')}.`;
}

for (const slider of given.sliders) addSlider(slider);
