/** A plot that keeps itself drawn: whenever there is something new, it is in sight and it has a size. */

import { effect, untracked } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { fillDifference } from '../data/difference.js';
import { choose, slotAt } from '../data/drawing.js';
import { fill } from '../data/fill.js';
import { logTicks } from '../data/numbers.js';
import { moveCursor, moveStep } from '../state/actions.js';
import * as state from '../state/signals.js';
import { html } from '../ui/html.js';
import { drawCursor } from './cursor.js';
import { axisRange, drawPlot, listen, removePlot, scheduleDraw, setTicks, unschedule } from './plot.js';

/** @typedef {import('../../types').Figure} Figure */

const NARROW_PX = 400;
/** What is out of sight is drawn when all is done and this has passed: for those who scroll, and for pictures of the whole page. */
const UNSEEN_MS = 400;
/** How long a plot rests between two drawings of a run in progress: a multiple of what drawing took, and at least this. */
const REST = 8;
const MIN_REST_MS = 120;
const DIM_MS = 150;
const CREEP = 1.2; // figures grow with their stacks
const LINES_PX = { wide: 264, narrow: 236 };
const MATRIX_PX = { wide: 256, narrow: 190 };
const STRIPS_PX = 244; // what the strips of a wide card share
const STRIP_PX = { least: 64, narrow: 70, most: 130 };

/** What a wide screen adds: curves and matrices keep their form. */
const LINES_SHARE = { share: 0.26, most: 440 };
const MATRIX_SHARE = { share: 0.62, most: 520 };

/** The height that a filled figure wants. @param {Figure} figure @param {boolean} isNarrow @param {number} [width] in pixels, 0 as on a small card */
export function heightOf(figure, isNarrow, width = 0) {
  const { meta, margin } = figure.layout;
  const size = isNarrow ? 'narrow' : 'wide';
  const grow = (/** @type {number} */ least, /** @type {{share: number, most: number}} */ by, room = width) =>
    isNarrow ? least : Math.max(least, Math.min(by.most, by.share * room));
  if (!meta.grid) return Math.round(grow(LINES_PX[size], LINES_SHARE));
  const count = Math.max(1, figure.data.filter((trace) => trace.visible !== false).length);
  const cells = count + ((count - 1) * Math.max(meta.grid.gap, meta.rules.min_row_gap)) / meta.grid.cell;
  const strip = isNarrow ? STRIP_PX.narrow : Math.min(STRIP_PX.most, Math.max(STRIP_PX.least, STRIPS_PX / cells));
  const isStrips = meta.grid.direction === 'rows';
  const inner = isStrips ? cells * strip : grow(MATRIX_PX[size], MATRIX_SHARE, width / cells) * (isNarrow ? cells : 1);
  return Math.round(inner + margin.t + margin.b);
}

/** Whether a figure shows other data when the cursor moves. @param {Figure} template */
function followsCursor(template) {
  const sources = template.data.flatMap((trace) => Object.values(trace.meta.fill));
  return sources.some((source) => /^(at|row|montage|product)\./.test(source));
}

/** @type {Set<PlotBox>} */
const boxes = new Set();

/** Draw every plot at once, in sight or not, at the size that it has now: paper does not wait. */
export function drawAll() {
  for (const box of boxes) box.draw(true);
}

class PlotBox {
  /**
   * @param {HTMLDivElement} box holds the plot and its overlay
   * @param {() => Figure} template
   * @param {(template: Figure) => number | null} toStep the step at which trained runs are shown; null for as they are in the end
   */
  constructor(box, template, toStep) {
    this.box = box;
    this.toStep = toStep;
    this.template = template;
    /** The filled figure. @type {Figure | null} */
    this.shown = null;
    this.plot = /** @type {HTMLElement} */ (box.children[0]);
    this.overlay = /** @type {HTMLElement} */ (box.children[1]);
    this.isSeen = false;
    this.timer = 0;
    this.restUntil = 0;
    /** What drawing it takes where nothing comes between: near the least that was seen. */
    this.cost_ms = 0;
    /** The runs that it draws, as one word. */
    this.ids = '';
    /** What the plot shows, so that nothing is drawn twice: in a word, of each run, and at which step. */
    this.drawn = '';
    /** @type {import('../data/drawing.js').Place[]} */
    this.places = [];
    this.step = /** @type {number | null} */ (null);
    this.isStale = false;
    this.dimming = 0;
    /** Where the cursors stand, and over which figure, in a word: to lay them out anew costs as much as a small drawing. */
    this.pointed = '';
    boxes.add(this);
    this.sight = new IntersectionObserver(
      ([entry]) => {
        this.isSeen = entry.isIntersecting;
        this.redraw();
      },
      { rootMargin: '200px' },
    );
    this.size = new ResizeObserver(() => this.redraw());
    this.sight.observe(box);
    this.size.observe(box);
    this.stopData = effect(() => {
      [state.dataTick.value, state.slots.value, state.phase.value, state.isDifference.value];
      this.redraw();
    });
    this.stopCursor = effect(() => {
      [state.cursor.value, state.step.value];
      if (!this.isSeen) return this.redraw();
      this.box.dataset.waits = '';
      scheduleDraw(this, () => this.draw(), this.cost_ms); // at once: a hand is on it
    });
  }

  redraw() {
    const ids = state.slots
      .peek()
      .map((slot) => slot.id)
      .join();
    if (ids !== this.ids) this.restUntil = 0; // the first curve of new runs is what a hand on a slider waits for
    this.ids = ids;
    this.box.dataset.waits = ''; // also out of sight
    if (this.isSeen) this.box.setAttribute('aria-busy', 'true');
    clearTimeout(this.timer);
    const draw = () => scheduleDraw(this, () => (this.rest() > 0 ? this.redraw() : this.draw()), this.cost_ms);
    const rest = this.rest();
    if (rest > 0) this.timer = setTimeout(() => this.redraw(), rest);
    else if (this.isSeen) draw();
    else this.timer = setTimeout(draw, UNSEEN_MS);
  }

  /** Milliseconds to wait while frames come in, which leaves most of the time to those who compute: they may sit on the same machine. */
  rest() {
    if (state.phase.peek() !== 'running') return 0;
    return Math.max(this.restUntil, state.hasMoved.peek() ? state.dueAt.peek() : 0) - performance.now();
  }

  /** @param {boolean} [isForced] in sight or not, and whatever else is going on */
  draw(isForced = false) {
    const width = Math.floor(this.box.clientWidth / this.magnified());
    if (width === 0 || !(isForced || this.isSeen || state.phase.peek() === 'idle')) return;
    this.box.removeAttribute('aria-busy');
    delete this.box.dataset.waits;
    const template = this.template();
    const step = untracked(() => this.toStep(template));
    const { places, results, labels, isStale, isNew } = choose(
      template,
      this.slots(step, template),
      step === this.step ? this.places : [],
    );
    const isOutdated = ['checking', 'asking', 'refused', 'busy'].includes(state.phase.peek());
    this.dim(isStale || isOutdated);
    const cursor = state.cursor.peek();
    const wanted = [
      ...places.map((place) => place.signature),
      width,
      followsCursor(template) ? cursor : '',
      step,
      template.layout.paper_bgcolor,
      template.data[0]?.meta.fill.z,
      template.data.length,
      state.isDifference.peek(),
    ].join('|');
    if (wanted !== this.drawn) {
      this.drawn = wanted;
      this.places = places;
      this.step = step;
      const draw = state.isDifference.peek() ? fillDifference : fill;
      this.show(draw(template, results, labels, cursor, width < NARROW_PX), width);
      if (isNew) state.hasMoved.value = true;
    }
    const pointed = [cursor, state.step.peek(), wanted].join('|');
    if (pointed !== this.pointed) this.placeCursor();
    this.pointed = pointed;
  }

  /** How much larger than drawn the figure is shown: on a very large screen, letters and lines too. */
  magnified() {
    return Number(getComputedStyle(this.box).getPropertyValue('--magnified')) || 1;
  }

  /** What is behind the settings is dimmed, but not for the moment that new runs take: to paint all figures twice would hold them up. @param {boolean} isStale */
  dim(isStale) {
    if (isStale === this.isStale) return;
    this.isStale = isStale;
    clearTimeout(this.dimming);
    if (isStale) this.dimming = setTimeout(() => this.box.classList.add('stale'), DIM_MS);
    else this.box.classList.remove('stale');
  }

  /** What is drawn: the runs, and of those that train what is known of a step. @param {number | null} step @param {Figure} template */
  slots(step, template) {
    const slots = state.slots.peek();
    return step === null ? slots : slots.map((slot) => slotAt(slot, step, template));
  }

  /** @param {Figure} figure @param {number} width */
  show(figure, width) {
    const isFirst = this.shown === null || !this.plot.hasChildNodes();
    const height = heightOf(figure, width < NARROW_PX, width);
    const begun = performance.now();
    this.shown = figure;
    this.box.style.setProperty('height', `${height * this.magnified()}px`);
    drawPlot(this.plot, figure, { width, height });
    const end = performance.now();
    this.restUntil = end + Math.max(MIN_REST_MS, REST * (end - begun));
    this.cost_ms = isFirst ? end - begun : Math.min(end - begun, CREEP * this.cost_ms);
    if (isFirst) listen(this.plot, { onClick: (places) => this.pin(places), onLayout: () => this.afterLayout() });
  }

  /** A click puts the cursors where it was; of two axes that count layers, the first is meant. @param {Record<string, number>} places by axis */
  pin(places) {
    const { layers = {}, steps = {} } = this.shown?.layout.meta ?? {};
    const [layer, step] = [layers, steps].map((kinds) => Object.entries(places).find(([axis]) => axis in kinds)?.[1]);
    if (layer !== undefined) moveCursor(Math.round(layer) - 1);
    if (step !== undefined) moveStep(Math.round(step) - 1);
  }

  /** After a zoom: ticks of a logarithmic axis for the range in sight, and the cursor in its place. */
  afterLayout() {
    this.placeCursor();
    const axes = Object.entries(this.shown?.layout.meta.axes ?? {});
    for (const [name, rule] of axes) {
      if (rule.scale === 'log') setTicks(this.plot, name, ...logTicks(...axisRange(this.plot, name)));
    }
  }

  placeCursor() {
    if (this.shown) drawCursor(this.overlay, this.plot, this.shown, state.cursor.peek(), state.step.peek());
  }

  end() {
    boxes.delete(this);
    this.stopData();
    this.stopCursor();
    clearTimeout(this.timer);
    clearTimeout(this.dimming);
    this.sight.disconnect();
    this.size.disconnect();
    unschedule(this);
    if (this.plot.hasChildNodes()) removePlot(this.plot);
    this.shown = null;
  }
}

const ofTheEnd = () => null;

/** @param {{template: Figure, title: string, toStep?: (template: Figure) => number | null}} props */
export function Plot({ template, title, toStep = ofTheEnd }) {
  const outer = useRef(/** @type {HTMLDivElement | null} */ (null));
  const latest = useRef(template);
  const kept = useRef(/** @type {PlotBox | null} */ (null));
  latest.current = template;
  useEffect(() => {
    kept.current = new PlotBox(/** @type {HTMLDivElement} */ (outer.current), () => latest.current, toStep);
    return () => kept.current?.end();
  }, []);
  useEffect(() => kept.current?.redraw(), [template]);
  return html`
    <div class="plot-box" ref=${outer} role="img" aria-busy="true" data-waits="" aria-label=${`${title}: a figure; its numbers are under “Show as table” in the menu`}>
      <div class="plot"></div>
      <div class="overlay" aria-hidden="true"></div>
    </div>
  `;
}
