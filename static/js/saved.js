/** Sliders of a saved file, for columns derived from its runs. Everything else in the file works without scripts. */

import { depthOf, methodOf, specOf } from './data/record.js';
import { withRules } from './data/rules.js';
import { fillDifference } from './figures/difference.js';
import { looks } from './figures/dress.js';
import { fill } from './figures/fill.js';
import { magnifiedOf, toCursor, toFrame, toPlan, toStaticShapes } from './picture/picture.js';
import { MIXING, SIZES } from './picture/reading.js';
import { toColors, toShown } from './picture/run.js';
import { toSvg } from './picture/svg.js';
import { drawPlot } from './plots/plot.js';
import { unpackValue } from './share/pack.js';
import { addSliders, canFillFigure, describeGains } from './share/sliders.js';

/** @typedef {import('../types').Columns} Columns @typedef {import('../types').Figure} Figure */
/** A figure of the file: `still` as saved, `live` as derived. @typedef {{section: HTMLElement, still: HTMLElement, live: HTMLElement, template: Figure}} Card */

const LEAST_PX = 620; // smallest width of a figure, as in the style sheet
const PICTURE_PX = 930; // width of the picture in the file

/** @type {import('./controls/liveview.js').Given} */
const given = unpackValue(/** @type {HTMLElement} */ (document.getElementById('given')).textContent ?? '');
Object.assign(looks, given.methods);
const sliderBox = /** @type {HTMLElement} */ (document.getElementById('try-it'));
const cards = given.panels.flatMap(({ key, figure }) => toCard(key, withRules(figure, given.rules)));
const [picture] = toCard('picture', withRules(given.panels[0].figure, given.rules));

/** Find a figure of the saved file and add its live version, which follows the sliders. @param {string} key @param {Figure} template @returns {Card[]} */
function toCard(key, template) {
  const section = /** @type {HTMLElement} */ (document.getElementById(key));
  const still = /** @type {HTMLElement | null} */ (section.querySelector('.figure:not(.on-paper)'));
  if (!still) return [];
  const live = document.createElement('div');
  live.className = 'live';
  live.hidden = true;
  live.setAttribute('role', 'img');
  live.setAttribute('aria-label', `${section.querySelector('h2')?.textContent}, at the position of the sliders`);
  still.after(live);
  return [{ section, still, live, template }];
}

/** Draw all figures of the saved file for derived runs, or its saved state. @param {Columns[] | null} runs null for the saved state */
function showRuns(runs) {
  const isMoved = runs !== null;
  for (const card of cards) drawCard(card, runs);
  drawPicture(picture, runs);
  // Parts that show only the saved state.
  for (const part of document.querySelectorAll('.run, .settings, .numbers, .supplement')) setDimmed(part, isMoved);
  const others = document.querySelectorAll('.panel');
  const all = [...cards, picture];
  for (const part of others) if (!all.some(({ section }) => section === part)) setDimmed(part, isMoved);
  return isMoved ? describeGains(runs, given.labels) : 'As saved.';
}

/** Draw the figure of a card for derived runs; dim the saved figure if they lack its data. @param {Card} card @param {Columns[] | null} runs null for the saved state */
function drawCard({ still, live, template }, runs) {
  const drawn = runs !== null && canFillFigure(template, runs) ? runs : null;
  setDimmed(still, runs !== null && drawn === null);
  still.classList.toggle('replaced', drawn !== null);
  live.hidden = drawn === null;
  if (drawn === null) return;
  const layer = Math.min(given.layer, Math.max(...drawn.map(depthOf)) - 1);
  const figure = (given.isDifference ? fillDifference : fill)(template, drawn, given.labels, layer);
  const height = Number(still.querySelector('svg')?.getAttribute('height'));
  drawPlot(live, figure, { width: Math.max(LEAST_PX, live.clientWidth), height });
}

/** Draw the picture in a saved file, without the animation. @param {Card} card @param {Columns[] | null} runs null for the saved state */
function drawPicture({ still, live, template }, runs) {
  const needed = [...SIZES, ...MIXING];
  const canDraw = runs !== null && !runs.some(({ waits }) => needed.some((key) => waits.has(key)));
  setDimmed(still, runs !== null && !canDraw);
  still.classList.toggle('replaced', canDraw);
  live.hidden = !canDraw;
  if (!canDraw) return;
  const layers = Math.max(...runs.map(depthOf));
  const shown = runs.map((columns, run) => ({
    ...toShown({ columns, label: given.labels[run] }, null),
    isUnconstrained: given.areFree[run],
  }));
  const plan = toPlan(shown, PICTURE_PX, layers, { edits: runs.map(toMarks) });
  const layer = Math.min(given.layer, layers - 1);
  const shapes = [
    ...toStaticShapes(plan),
    toFrame(plan.layout, layer),
    ...toCursor(plan, layer, null, magnifiedOf(shown)),
  ];
  const size = { width: PICTURE_PX, height: plan.layout.height };
  live.innerHTML = toSvg(shapes, toColors(template, runs.map(methodOf)), size);
}

/** List the edits of a run, as the picture draws them. @param {Columns} columns */
const toMarks = (columns) =>
  /** @type {import('../types').Edit[]} */ (specOf(columns)?.edits ?? []).map((edit, place) => ({
    edit,
    place,
    isOpen: false,
  }));

/** Dim a part of the file whose numbers do not follow the sliders. @param {Element} part @param {boolean} waits */
function setDimmed(part, waits) {
  part.classList.toggle('waits', waits);
}

addSliders(given, sliderBox, showRuns);
