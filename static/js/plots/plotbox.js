/** A plot that redraws itself on new data, when it becomes visible, and on resize. */

import { effect, untracked, useComputed } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { niceStep } from '../data/numbers.js';
import { WIDER, widthOf } from '../data/textwidth.js';
import { chooseDrawn, slotAtStep } from '../figures/drawing.js';
import { MIN_ROW_GAP } from '../figures/fill.js';
import { axisNote, fitNames } from '../figures/labels.js';
import { until } from '../state/idle.js';
import * as state from '../state/signals.js';
import { notify } from '../ui/clipboard.js';
import { html } from '../ui/html.js';
import { boxes } from './boxes.js';
import { canPaintCursor, drawCursor, paintCursor, writeValues } from './cursor.js';
import { Dimmer, magnificationOf } from './dimmer.js';
import { toFigure } from './filling.js';
import {
  drawPlot,
  hasPlotly,
  loadPlotly,
  plotAreasOf,
  removePlot,
  scheduleDraw,
  unschedule,
  untilPainted,
} from './plot.js';
import { PlotPointer } from './pointer.js';
import { canSketch, drawSketch } from './sketch.js';

/** @typedef {import('../../types').Figure} Figure */

const NARROW_PX = 400;
/** Delay after which figures out of sight are drawn once all runs are done, for scrolling and screenshots. */
const UNSEEN_MS = 150;
/** Rest between two drawings of a running run: a multiple of the drawing time, at least MIN_REST_MS. */
const REST = 8;
const MIN_REST_MS = 120;
/** Time after which Plotly replaces a sketch: of final curves in the next frame, of a running run once it takes long. */
const SKETCHED_MS = { idle: 0, running: 1000 };
const CREEP = 1.2; // largest growth of the cost estimate per drawing: deeper stacks draw slower
const LINES_PX = { wide: 264, narrow: 256 }; // label distances are a share of it, and labels must not overlap
const MATRIX_PX = { wide: 256, narrow: 190 };
const STRIPS_PX = 244; // total height of the strips of a wide card
const STRIP_PX = { least: 64, narrow: 70, most: 130 };

/** Height of curves and matrices on wide screens as a share of the width. */
const LINES_SHARE = { share: 0.26, most: 440 };
const MATRIX_SHARE = { share: 0.62, most: 520 };

/** Compute the height of a filled figure in px. @param {Figure} figure @param {boolean} isNarrow @param {number} [width] in pixels, 0 as on a small card */
export function heightOf(figure, isNarrow, width = 0) {
  const { meta, margin } = figure.layout;
  const size = isNarrow ? 'narrow' : 'wide';
  const grow = (/** @type {number} */ least, /** @type {{share: number, most: number}} */ by, room = width) =>
    isNarrow ? least : Math.max(least, Math.min(by.most, by.share * room));
  if (!meta.grid) return Math.round(grow(LINES_PX[size], LINES_SHARE));
  const count = Math.max(1, figure.data.filter((trace) => trace.visible !== false).length);
  const cells = count + ((count - 1) * Math.max(meta.grid.gap, MIN_ROW_GAP)) / meta.grid.cell;
  const strip = isNarrow ? STRIP_PX.narrow : Math.min(STRIP_PX.most, Math.max(STRIP_PX.least, STRIPS_PX / cells));
  const isStrips = meta.grid.direction === 'rows';
  const inner = isStrips ? cells * strip : grow(MATRIX_PX[size], MATRIX_SHARE, width / cells) * (isNarrow ? cells : 1);
  return Math.round(inner + margin.t + margin.b);
}

const SMALL = {
  margin: { l: 34, t: 12, b: 18 },
  end_px: 4, // right of text on a curve
  right_px: 18, // around names right of the curves
  title_px: 17, // width of the axis title
  title_at_px: 12, // from the edge to its middle
  tick_px: 12, // around a tick label
  raised: 0.7, // size of an exponent
  narrow_px: 240,
  names: 0.36, // share of the width for a name right of the curves
  height: 168,
  labels: { gap: 0.125, letter_px: 6.2 },
  ticks: 4,
};

/** Adapt a template for a small chart: narrow margins, ticks at the first and last layer, and a title of the vertical axis. @param {Figure} template @param {string} axisTitle @returns {Figure} */
export function toSmall(template, axisTitle) {
  const { layout, data } = template;
  const { margin, xaxis, yaxis, meta } = layout;
  return {
    data,
    layout: {
      ...layout,
      paper_bgcolor: 'rgba(0,0,0,0)', // small charts have no card
      plot_bgcolor: 'rgba(0,0,0,0)',
      margin: { ...margin, ...SMALL.margin },
      xaxis: { ...xaxis, title: undefined, showgrid: false },
      yaxis: { ...yaxis, nticks: SMALL.ticks },
      meta: { ...meta, isSmall: true, axisTitle, labels: SMALL.labels },
    },
  };
}

export const smallHeight = () => SMALL.height;

const LAYER = / (at|up to) layer \d+/; // in the note where a curve stops

/** Write names that fit a small chart in place of labels, and make room for them right of the curves. @param {{data: Figure['data'], layout: {annotations: any[], margin: any, font: any}}} figure @param {string[]} labels @param {number} width in pixels */
function writeNames({ data, layout: { annotations, margin, font } }, labels, width) {
  const names = fitNames(labels, (text) => widthOf(text, font.size) <= SMALL.names * width);
  for (const note of annotations) {
    labels.forEach((label, run) => {
      note.text = note.text.replace(label, names[run]);
    });
    // The position of the note already shows the layer.
    if (width < SMALL.narrow_px) note.text = note.text.replace(LAYER, '');
  }
  const ended = data.filter(({ visible, meta }) => visible !== false && meta.end).map(({ meta }) => names[meta.run]);
  const endNotes = annotations.filter(({ xref }) => xref === 'x domain').map(({ text }) => text);
  const widths = [...ended, ...endNotes].map((text) =>
    Math.max(SMALL.labels.letter_px * [...text].length, WIDER * widthOf(text, font.size)),
  );
  margin.r = SMALL.right_px + Math.round(Math.max(SMALL.labels.letter_px, ...widths));
}

/** Fit a filled small chart: ticks at the first and last layer, and names without letters at the lines. @param {Figure} figure filled @param {string[]} labels @param {number} width in pixels */
function fitSmall({ data, layout: { xaxis, yaxis, annotations, margin, font, meta } }, labels, width) {
  const layers = data
    .filter((trace) => trace.visible !== false)
    .flatMap(({ x }) => (x?.length ? [x[0], x[x.length - 1]] : []));
  const [low, high] = xaxis.range; // wider than the layers by a margin
  const ends =
    layers.length > 0
      ? [Math.max(Math.ceil(low), Math.min(...layers)), Math.min(Math.floor(high), Math.max(...layers))]
      : [];
  margin.l = Math.max(SMALL.margin.l, Math.ceil(widestTick(yaxis, font.size)) + SMALL.tick_px) + SMALL.title_px;
  Object.assign(xaxis, { tickmode: 'array', tickvals: ends, ticktext: ends.map(String) });
  writeNames({ data, layout: { annotations, margin, font } }, labels, width);
  let isFree = true; // whether the space left of the axis is free
  for (const note of annotations) {
    if (note.xref !== 'x') continue; // not a note where a curve stops
    const left = ((width - margin.l - margin.r) * (note.x - low)) / (high - low); // of the end of the curve
    const widthOfNote = (/** @type {string} */ text) => WIDER * widthOf(text, font.size);
    if (note.xanchor === 'left') {
      note.xshift = Math.min(0, width - margin.l - left - SMALL.end_px - widthOfNote(note.text));
    } else if (note.xanchor === 'right') {
      if (widthOfNote(note.text) > left) note.text = note.text.replace(LAYER, '');
      if (widthOfNote(note.text) > left) isFree = false;
    }
  }
  if (isFree) annotations.push(axisNote(meta.axisTitle, SMALL.title_at_px - margin.l, meta.muted));
}

/** Estimate the width of the longest tick label of an axis, in px. @param {any} axis @param {number} size of letters */
function widestTick({ ticktext, range: [low, high], nticks }, size) {
  const widthOfTick = (/** @type {string} */ text) => {
    const [before, power = ''] = text.replace('</sup>', '').split('<sup>');
    return widthOf(before, size) + SMALL.raised * widthOf(power, size);
  };
  if (ticktext) return Math.max(0, ...ticktext.map(widthOfTick));
  if (Math.max(-low, high) >= 1000) return 0; // Plotly writes 20M
  const digits = Math.max(0, -Math.floor(Math.log10(niceStep((high - low) / nticks)) + 1e-9));
  return Math.max(...[low, high].map((value) => widthOfTick(value.toFixed(digits))));
}

/** Return whether the data of a figure depends on the cursor. @param {Figure} template */
function followsCursor(template) {
  const sources = template.data.flatMap((trace) => Object.values(trace.meta.fill));
  return sources.some((source) => /^(at|row|montage|product|basis|signed_log\.basis|eigen)\./.test(source));
}

/** Return the move of a slider that texts show; null at rest, when they show the last one. */
const tickOfTexts = () => (state.followsPointer() ? state.textTick.peek() : null);

/** Return whether runs are requested or running: a sketch stays until they end, so that Plotly takes no time from them. */
const isPending = () => ['checking', 'running'].includes(state.phase.peek());

/** Return the layer and the step of the cursor, and the layer at the pointer. */
function shownCursors() {
  return { layer: state.cursor.peek(), step: state.step.peek(), hovered: state.hovered.peek() };
}

class PlotBox {
  /**
   * @param {HTMLDivElement} box holds the plot and its overlay
   * @param {() => Figure} template
   * @param {(template: Figure) => number | null} toStep the shown step of trained runs; null for the trained stack
   * @param {typeof heightOf} toHeight
   * @param {() => HTMLElement | null} toValues element for the values at the cursor
   */
  constructor(box, template, toStep, toHeight, toValues) {
    this.toHeight = toHeight;
    this.toValues = toValues;
    this.box = box;
    this.toStep = toStep;
    this.template = template;
    /** The filled figure. @type {Figure | null} */
    this.shown = null;
    this.plot = /** @type {HTMLElement} */ (box.children[0]);
    this.overlay = /** @type {HTMLElement} */ (box.children[1]);
    this.isSeen = false;
    /** Whether the box is visible; `isSeen` includes the area around the window. */
    this.isInSight = false;
    this.timer = 0;
    this.restUntil = 0;
    /** Estimated drawing time: close to the smallest measured one. */
    this.cost_ms = 0;
    /** Ids of the drawn runs. */
    this.ids = '';
    /** Height of the plot before magnification. */
    this.height = 0;
    /** Size and magnification before the drag began, cached because measuring forces a layout. @type {{width: number, zoom: number} | null} */
    this.room = null;
    /** Key of the drawn state, the drawn columns and step, so that nothing is drawn twice. */
    this.drawn = '';
    /** @type {import('../figures/drawing.js').Place[]} */
    this.places = [];
    this.step = /** @type {number | null} */ (null);
    this.isRunning = false;
    /** Whether the first or the final curves of new runs are awaited, which are sketched before Plotly draws them. */
    this.isAwaiting = false;
    this.sketchTimer = 0;
    /** Whether Plotly is being loaded for this figure. */
    this.isLoading = false;
    /** Canvas over the plot, during a drag and until Plotly has drawn new curves; `cursors` are those that are drawn into it, if any. @type {{canvas: HTMLCanvasElement, drawn: string, size: {width: number, height: number, magnified: number}, areas: import('./plot.js').Area[], cursors: string | null} | null} */
    this.sketch = null;
    this.dimmer = new Dimmer(this.box);
    this.pointer = new PlotPointer(this);
    /** Key of cursors and figure: placing cursors costs as much as a small drawing. */
    this.pointed = '';
    /** The move of a slider at which the values at the cursor were written, null at rest. @type {number | null} */
    this.tick = null;
    boxes.add(this);
    this.sight = new IntersectionObserver(
      ([entry]) => {
        this.isSeen = entry.isIntersecting;
        this.redraw();
      },
      { rootMargin: '200px' },
    );
    this.view = new IntersectionObserver(([entry]) => {
      this.isInSight = entry.isIntersecting;
    });
    this.size = new ResizeObserver(() => {
      this.room = null;
      this.redraw();
    });
    this.sight.observe(box);
    this.view.observe(box);
    this.size.observe(box);
    this.stopData = effect(() => {
      [state.dataTick.value, state.slots.value, state.isDifference.value, state.isMoving.value];
      const isRunning = state.phase.value === 'running';
      if (this.isRunning && !isRunning) this.isAwaiting = true; // the final curves
      this.isRunning = isRunning;
      this.redraw();
    });
    this.stopHover = effect(() => {
      state.hovered.value;
      if (this.isInSight) scheduleDraw(this.overlay, () => this.placeCursor());
    });
    this.stopCursor = effect(() => {
      [state.cursor.value, state.step.value];
      const isTogether = state.followsPointer(); // dragging may move the cursor too
      if (!(isTogether ? this.isInSight : this.isSeen)) return this.redraw();
      if (!isTogether) this.box.dataset.waits = '';
      const cost_ms = followsCursor(this.template()) ? this.cost_ms : 0; // otherwise only lines move
      scheduleDraw(this, () => this.draw(), { cost_ms, isTogether }); // without delay: the user is moving the cursor
    });
  }

  /** Schedule a drawing of the figure. */
  redraw() {
    const ids = state.slots
      .peek()
      .map((slot) => slot.id || slot.requestKey)
      .join();
    if (ids !== this.ids) {
      this.restUntil = 0; // draw the first curve of new runs without rest
      this.isAwaiting = true;
    }
    this.ids = ids;
    const isTogether = state.followsPointer();
    // What follows a drag is drawn in this frame: to mark it would cost styles twice.
    if (!(isTogether && this.isInSight)) {
      this.box.dataset.waits = ''; // for hidden figures too
      if (this.isSeen) this.box.setAttribute('aria-busy', 'true');
    }
    clearTimeout(this.timer);
    const cost_ms = this.isFast() && this.shown && canSketch(this.shown) ? 0 : this.cost_ms;
    const draw = () =>
      scheduleDraw(this, () => (this.rest() > 0 ? this.redraw() : this.draw()), {
        cost_ms,
        isTogether,
        isFirst: this.isInSight,
      });
    const rest = this.rest();
    if (rest > 0) this.timer = setTimeout(() => this.redraw(), rest);
    else if (isTogether ? this.isInSight : this.isSeen) draw();
    else this.timer = setTimeout(draw, UNSEEN_MS);
  }

  /** Return whether curves are sketched because Plotly would take too long: during a drag, and where new ones are awaited. */
  isFast() {
    return state.followsPointer() || (this.isAwaiting && this.isInSight);
  }

  /** Return for how many ms to wait before the next drawing while frames arrive: computing may run on the same machine. */
  rest() {
    if (state.phase.peek() !== 'running') return 0;
    return Math.max(this.restUntil, state.hasDrawn.peek() ? state.dueAt.peek() : 0) - performance.now();
  }

  /** Draw the figure if its data, size, cursor or look changed. @param {boolean} [isForced] also out of sight and while runs are running; default false */
  draw(isForced = false) {
    const { width, zoom } = this.measure();
    if (width === 0 || !(isForced || this.isSeen || state.phase.peek() === 'idle')) return;
    if (!hasPlotly() && !this.await()) return;
    this.box.removeAttribute('aria-busy');
    delete this.box.dataset.waits;
    const template = this.template();
    const step = untracked(() => this.toStep(template));
    const { places, results, labels, isStale, isNew } = chooseDrawn(
      template,
      this.slots(step, template),
      step === this.step ? this.places : [],
    );
    this.dimmer.set(isStale || state.isOutdated.peek());
    const cursor = state.cursor.peek();
    const wanted = [
      ...places.map((place) => place.signature),
      width,
      followsCursor(template) ? cursor : '',
      template.layout.meta.interval,
      this.pointer.zoom.keyFor(this.layersShown()),
      step,
      template.layout.meta.theme,
      template.data[0]?.meta.fill.z,
      template.data.length,
      state.isDifference.peek(),
    ].join('|');
    const isFast = hasPlotly() ? this.isFast() && !isForced : this.isSeen || isForced;
    if (wanted !== (this.sketch?.drawn ?? this.drawn) || (this.sketch && !isFast)) {
      this.places = places;
      this.step = step;
      const figure = toFigure(template, results, labels, { step, isNarrow: width < NARROW_PX });
      if (template.layout.meta.isSmall) fitSmall(figure, labels, width);
      this.pointer.zoom.applyTo(figure, this.layersShown());
      if (isFast && canSketch(figure)) this.showSketch(figure, { width, zoom }, wanted);
      else if (!hasPlotly()) return this.wait();
      else this.showPlot(figure, width, wanted);
      if (isNew) state.hasDrawn.value = true;
    } else if (this.shown && !this.sketch && this.roomFor(this.shown, width) !== this.height)
      this.showPlot(this.shown, width, wanted);
    const pointed = [cursor, state.step.peek(), wanted, tickOfTexts()].join('|');
    // After all figures of this turn, so that styles are computed once.
    if (pointed !== this.pointed) queueMicrotask(() => this.placeCursor());
    this.pointed = pointed;
    if (this.sketch && !state.followsPointer()) this.replaceSketch();
    else if (!isPending()) this.isAwaiting = false;
  }

  /** Return width and magnification of the box; unchanged during a drag. */
  measure() {
    if (!state.followsPointer()) this.room = null;
    if (this.room) return this.room;
    const zoom = magnificationOf(this.box);
    const room = { width: Math.floor(this.box.clientWidth / zoom), zoom };
    if (state.followsPointer()) this.room = room;
    return room;
  }

  /** Load Plotly once there is data, and return whether there is: curves are sketched before Plotly is there. */
  await() {
    const hasData = state.slots.peek().some(({ columns }) => columns.start);
    if (hasData && !this.isLoading) {
      this.isLoading = true;
      void this.load();
    }
    return hasData;
  }

  /**
   * Load Plotly once the runs whose records arrive are complete, or have been sketched for long, and all sketches are painted, because running
   * it takes longer than drawing them. A later drawing tries again.
   */
  async load() {
    await until(() => state.phase.value !== 'running', AbortSignal.timeout(SKETCHED_MS.running));
    await untilPainted();
    await loadPlotly().then(
      () => this.redraw(),
      () => notify('The library that draws figures could not be loaded. Reload the page to try again.'),
    );
    this.isLoading = false;
  }

  /** Mark the figure as one that Plotly has to draw first. */
  wait() {
    this.box.dataset.waits = '';
    this.box.setAttribute('aria-busy', 'true');
  }

  /** Compute the height of a figure; while runs are running that of the template, so that nothing below moves later. @param {Figure} figure @param {number} width */
  roomFor(figure, width) {
    const isRunning = state.phase.peek() === 'running';
    return this.toHeight(isRunning ? this.template() : figure, width < NARROW_PX, width);
  }

  /** Return the slots, with columns of the shown training step. @param {number | null} step @param {Figure} template */
  slots(step, template) {
    const slots = state.slots.peek();
    return step === null ? slots : slots.map((slot) => slotAtStep(slot, step, template));
  }

  /** Let Plotly draw what the sketch shows, once the sketch is painted. */
  replaceSketch() {
    this.box.setAttribute('aria-busy', 'true');
    if (!hasPlotly()) return; // the figure is drawn again when it is loaded
    const isRunning = isPending();
    if (isRunning && this.sketchTimer) return;
    clearTimeout(this.sketchTimer);
    const replace = () => {
      this.sketchTimer = 0;
      this.isAwaiting = false;
      scheduleDraw(this, () => this.draw(), { cost_ms: this.cost_ms });
    };
    this.sketchTimer = setTimeout(replace, isRunning ? SKETCHED_MS.running : SKETCHED_MS.idle);
  }

  /** Draw the figure on a canvas, which is fast enough for a drag. @param {Figure} figure @param {{width: number, zoom: number}} room @param {string} wanted */
  showSketch(figure, { width, zoom }, wanted) {
    const canvas = this.sketch?.canvas ?? document.createElement('canvas');
    if (!this.sketch) {
      canvas.className = 'sketch';
      this.overlay.before(canvas);
      this.box.classList.add('sketched');
    }
    const height = this.roomFor(figure, width);
    if (!this.plot.hasChildNodes()) this.box.style.setProperty('height', `${height * zoom}px`);
    this.shown = figure;
    const size = { width, height, magnified: zoom };
    this.sketch = { canvas, drawn: wanted, size, areas: drawSketch(canvas, figure, size), cursors: null };
    if (state.followsPointer() && canPaintCursor(figure)) this.paintCursor();
  }

  /** Draw the cursors into the sketch that was just drawn. */
  paintCursor() {
    if (!this.sketch || !this.shown) return;
    const { canvas, areas } = this.sketch;
    const cursors = shownCursors();
    const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
    paintCursor(pen, areas, this.shown, cursors);
    this.sketch.cursors = Object.values(cursors).join();
    if (!this.overlay.hidden) this.overlay.hidden = true;
  }

  /** Let Plotly draw the figure. @param {Figure} figure @param {number} width @param {string} wanted */
  showPlot(figure, width, wanted) {
    const isFirst = this.shown === null || !this.plot.hasChildNodes();
    const height = this.roomFor(figure, width);
    const begun = performance.now();
    this.shown = figure;
    this.box.style.setProperty('height', `${height * magnificationOf(this.box)}px`);
    if (wanted !== this.drawn || height !== this.height) drawPlot(this.plot, figure, { width, height });
    this.drawn = wanted;
    this.height = height;
    this.sketch?.canvas.remove();
    this.sketch = null;
    this.box.classList.remove('sketched');
    if (this.overlay.hidden) queueMicrotask(() => this.placeCursor());
    const end = performance.now();
    this.restUntil = end + Math.max(MIN_REST_MS, REST * (end - begun));
    this.cost_ms = isFirst ? end - begun : Math.min(end - begun, CREEP * this.cost_ms);
    if (isFirst) this.pointer.listen();
  }

  /** Reset the zoom of this card's own axes. */
  showAll() {
    if (this.pointer.zoom.clear()) this.forceRedraw();
  }

  forceRedraw() {
    this.drawn = '';
    this.redraw();
  }

  /** Return a key of the shown layers; a window of layers follows the cursor. */
  layersShown() {
    const { first, last } = state.interval.peek();
    const isWindow = Object.values(this.template().layout.meta.layers ?? {}).includes('window');
    return [first, last, isWindow ? state.cursor.peek() : ''].join();
  }

  /** Return the positions of the subplots in px. */
  areas() {
    return this.sketch?.areas ?? plotAreasOf(this.plot);
  }

  /** Draw the cursors over the figure, and write the values at the cursor. */
  placeCursor() {
    const cursors = shownCursors();
    if (!this.shown) return;
    if (!this.sketch?.cursors) {
      if (this.overlay.hidden) this.overlay.hidden = false;
      drawCursor(this.overlay, this.areas(), this.shown, cursors);
    } else if (this.sketch.cursors !== Object.values(cursors).join()) {
      drawSketch(this.sketch.canvas, this.shown, this.sketch.size);
      this.paintCursor();
    }
    const tick = tickOfTexts();
    const values = this.toValues();
    if (values && (tick === null || tick !== this.tick)) writeValues(values, this.shown, cursors);
    this.tick = tick;
  }

  /** Stop listening, and remove the plot. */
  end() {
    boxes.delete(this);
    this.stopData();
    this.stopCursor();
    this.stopHover();
    this.pointer.end();
    clearTimeout(this.timer);
    clearTimeout(this.sketchTimer);
    this.dimmer.end();
    this.sight.disconnect();
    this.view.disconnect();
    this.size.disconnect();
    unschedule(this);
    unschedule(this.overlay);
    if (this.plot.hasChildNodes()) removePlot(this.plot);
    this.shown = null;
  }
}

/** Reserve the height of a figure before it is drawn, so that nothing below moves. @param {HTMLElement} box @param {Figure} template @param {typeof heightOf} toHeight */
function reserve(box, template, toHeight) {
  const magnified = magnificationOf(box);
  const width = Math.floor(box.clientWidth / magnified);
  if (width > 0) box.style.setProperty('height', `${toHeight(template, width < NARROW_PX, width) * magnified}px`);
}

const showTrainedStack = () => null;

/** Render the names of the runs that an empty plot waits for; a small plot has no room for them. @param {{isSmall: boolean}} props */
function Waiting({ isSmall }) {
  const text = useComputed(() => {
    state.dataTick.value;
    const open = state.slots.value.filter(({ columns, derived }) => columns.end === null && derived === null);
    const names = isSmall ? '' : open.map(({ label }) => label).join(', ');
    return open.length > 0 ? `Computing ${names} …` : '';
  }).value;
  return html`<p class="plot-waits hint">${text}</p>`;
}

/** Render a plot. `values` is the element for the values at the cursor; `description` is read to screen readers. @param {{template: Figure, title: string, description?: string, values?: {current: HTMLElement | null}, toStep?: (template: Figure) => number | null, toHeight?: typeof heightOf}} props */
export function Plot({ template, title, description = '', values, toStep = showTrainedStack, toHeight = heightOf }) {
  const outer = useRef(/** @type {HTMLDivElement | null} */ (null));
  const latest = useRef(template);
  const kept = useRef(/** @type {PlotBox | null} */ (null));
  latest.current = template;
  useLayoutEffect(() => reserve(/** @type {HTMLDivElement} */ (outer.current), template, toHeight), []);
  useEffect(() => {
    const box = /** @type {HTMLDivElement} */ (outer.current);
    kept.current = new PlotBox(
      box,
      () => latest.current,
      toStep,
      toHeight,
      () => values?.current ?? null,
    );
    return () => kept.current?.end();
  }, []);
  useEffect(() => kept.current?.redraw(), [template]);
  return html`
    <div class="plot-box" ref=${outer} role="img" aria-busy="true" data-waits="" aria-label=${`${title}: a figure; its numbers are under “Show as table” in the menu${description && `. ${description}`}`}>
      <div class="plot"></div>
      <div class="overlay" aria-hidden="true"></div>
      <${Waiting} isSmall=${Boolean(template.layout.meta.isSmall)} />
    </div>
    <p class="touched" aria-hidden="true"></p>
  `;
}
