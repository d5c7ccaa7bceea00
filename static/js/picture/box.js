/** The picture on the page, which keeps itself drawn: one canvas for what stays, one for the cursor, one for the pulse. */

import { effect } from '@preact/signals';
import { boxes, cursorsNow, showAll } from '../figures/boxes.js';
import { Dimmer, magnificationOf } from '../figures/dimmer.js';
import { scheduleDraw, unschedule } from '../figures/plot.js';
import { moveCursor, restoreCursors } from '../state/actions.js';
import * as state from '../state/signals.js';
import { clear, paint } from './canvas.js';
import { labelAt, layerAt, toLayout } from './geometry/layout.js';
import { toCursor, toPlan, toStill } from './geometry/picture.js';
import { toShown } from './geometry/run.js';
import { TITLE, toSentence } from './geometry/words.js';
import { PulseCanvas } from './pulsecanvas.js';
import { chooseShown, guessStreams, isAwaited, toPalette } from './shown.js';

const SLACK_PX = 12;

export class PictureBox {
  /** @param {HTMLDivElement} box holds the canvases */
  constructor(box) {
    this.box = box;
    const [still, cursor, front] = /** @type {NodeListOf<HTMLCanvasElement>} */ (box.querySelectorAll('canvas'));
    this.still = still;
    this.cursor = cursor;
    /** @type {import('../data/drawing.js').Place[]} */
    this.places = [];
    this.step = /** @type {number | null} */ (null);
    /** @type {import('./geometry/picture.js').Plan | null} */
    this.plan = null;
    /** @type {import('./geometry/shapes.js').Palette} */
    this.palette = {};
    /** What is drawn, in a word. */
    this.drawn = '';
    this.dimmer = new Dimmer(this.box);
    this.timer = 0;
    this.density = 1;
    this.zoom = 1;
    this.isHeld = false;
    this.isInSight = true;
    /** Of the box, as it was before a hand began to move: to ask anew would lay the page out. @type {{width: number, zoom: number} | null} */
    this.room = null;
    /** Where the cursors were before the last press, and before the one before it. */
    this.before = [cursorsNow(), cursorsNow()];
    boxes.add(this);
    if (isAwaited()) this.reserve();
    this.size = new ResizeObserver(() => {
      this.room = null;
      this.redraw();
    });
    this.size.observe(box);
    this.sight = new IntersectionObserver(([entry]) => {
      this.isInSight = entry.isIntersecting;
      this.drawSoon();
    });
    this.sight.observe(box);
    this.stopData = effect(() => {
      [state.dataTick.value, state.slots.value, state.phase.value, state.templates.value, state.step.value];
      state.isMoving.value;
      this.redraw();
    });
    this.stopCursor = effect(() => {
      [state.cursor.value, state.layers.value, state.part.value, state.hovered.value];
      this.drawSoon(); // at once: a hand is on it
    });
    this.pulse = new PulseCanvas(front, () => this.ground());
    this.listen();
  }

  /** Draw what has come; short runs are left alone until they are whole, as other figures do. */
  redraw() {
    this.box.setAttribute('aria-busy', 'true');
    clearTimeout(this.timer);
    const isWaiting = state.phase.peek() === 'running' && state.hasMoved.peek();
    const rest = isWaiting ? state.dueAt.peek() - performance.now() : 0;
    if (rest > 0) this.timer = setTimeout(() => this.redraw(), rest);
    else this.drawSoon();
  }

  drawSoon() {
    this.box.setAttribute('aria-busy', 'true');
    scheduleDraw(this, () => this.draw());
  }

  /** The room that it has. */
  measure() {
    const isKept = state.isMoving.peek();
    if (isKept && this.room) return this.room;
    const zoom = magnificationOf(this.box);
    const room = { width: Math.floor(this.box.clientWidth / zoom), zoom };
    this.room = isKept ? room : null;
    return room;
  }

  draw() {
    if (!this.isInSight && state.isMoving.peek()) return; // when the hand rests
    const templates = state.templates.peek();
    const { width, zoom } = this.measure();
    if (width === 0) return;
    if (!templates || isAwaited()) return this.reserve();
    const { places, step, isStale } = chooseShown(templates, this.places);
    this.dimmer.set(isStale || state.isOutdated.peek());
    this.palette = toPalette(templates);
    const density = zoom * devicePixelRatio;
    Object.assign(this, { density, zoom });
    const layers = state.layers.peek();
    const wanted = [
      ...places.map(({ signature }) => signature),
      step,
      width,
      density,
      layers,
      Object.values(this.palette),
    ].join('|');
    if (wanted !== this.drawn || !this.plan) {
      const guesses = guessStreams();
      const runs = places.map((place, run) => toShown(place, step, guesses[run]));
      this.plan = toPlan(runs, width, layers);
      this.box.style.setProperty('min-height', '0');
      this.box.style.setProperty('height', `${this.plan.layout.height * zoom}px`);
      this.paintOn(this.still, toStill(this.plan), density);
      this.pulse.redraw();
    }
    Object.assign(this, { drawn: wanted, places, step });
    this.paintOn(
      this.cursor,
      toCursor(this.plan, Math.min(state.hovered.peek() ?? state.cursor.peek(), layers - 1), state.part.peek()),
      density,
    );
    if (!state.isMoving.peek()) this.say();
    if (state.phase.peek() !== 'loading') this.box.removeAttribute('aria-busy');
  }

  /** Take the room of what is to come, so that nothing below moves when it does. */
  reserve() {
    const zoom = magnificationOf(this.box);
    const { height } = toLayout(this.box.clientWidth / zoom, guessStreams(), state.layers.peek());
    this.box.style.setProperty('min-height', '0');
    this.box.style.setProperty('height', `${height * zoom}px`);
  }

  /** What a signal passes over; null before it is drawn. */
  ground() {
    const { plan, palette, density, zoom } = this;
    return plan && { plan, palette, density, zoom, layer: Math.min(state.cursor.peek(), plan.layout.layers - 1) };
  }

  /** @param {HTMLCanvasElement} canvas @param {import('./geometry/shapes.js').Shape[]} shapes @param {number} density */
  paintOn(canvas, shapes, density) {
    if (!this.plan) return;
    const { width, height } = this.plan.layout;
    paint(clear(canvas, width, height, density), shapes, this.palette);
  }

  /** Those who cannot see it are told what it shows. */
  say() {
    const layer = state.cursor.peek();
    const sentences = this.plan?.runs.map((shown) => toSentence(shown, layer)) ?? [];
    this.box.setAttribute('aria-label', [TITLE, ...sentences].join('. '));
  }

  /** A mouse on the strips takes the cursor along; a finger too, unless it scrolls the page. */
  listen() {
    const { box } = this;
    box.addEventListener('pointerdown', (event) => {
      this.isHeld = this.layerUnder(event) !== null;
      if (!this.isHeld) return;
      this.before = [cursorsNow(), this.before[0]];
      state.hovered.value = null; // what is held is the cursor
      box.setPointerCapture(event.pointerId);
      if (event.pointerType !== 'touch') this.point(event);
    });
    box.addEventListener('pointermove', (event) => {
      if (this.isHeld) this.point(event);
      else this.hover(event);
    });
    box.addEventListener('pointerleave', () => {
      state.hovered.value = null;
    });
    box.addEventListener('pointerup', (event) => {
      if (this.isHeld) this.point(event);
      this.isHeld = false;
    });
    box.addEventListener('dblclick', () => {
      restoreCursors(this.before[1]); // its presses have moved the cursor
      showAll();
    });
    box.addEventListener('pointercancel', () => {
      this.isHeld = false;
    });
  }

  /** @param {PointerEvent} event */
  layerUnder(event) {
    if (!this.plan) return null;
    const x = (event.clientX - this.box.getBoundingClientRect().left) / this.zoom;
    return layerAt(this.plan.layout, x, this.isHeld ? Infinity : SLACK_PX);
  }

  /** The whole name of the run whose label is there. @param {PointerEvent} event */
  nameUnder(event) {
    const { left, top } = this.box.getBoundingClientRect();
    const run = this.plan
      ? labelAt(this.plan.layout, (event.clientX - left) / this.zoom, (event.clientY - top) / this.zoom)
      : null;
    const shown = run === null ? undefined : this.plan?.runs[run];
    return shown?.name ?? shown?.label ?? '';
  }

  /** All cards show the layer under a mouse. @param {PointerEvent} event */
  hover(event) {
    const layer = this.layerUnder(event);
    this.box.title = this.nameUnder(event);
    this.box.style.setProperty('cursor', layer === null ? 'auto' : 'ew-resize');
    const { first, last } = state.interval.peek();
    const isSpokenOf = layer !== null && layer >= first && layer <= last;
    if (event.pointerType !== 'touch') state.hovered.value = isSpokenOf ? layer : null;
  }

  /** @param {PointerEvent} event */
  point(event) {
    const layer = this.layerUnder(event);
    if (layer !== null) moveCursor(layer);
  }

  end() {
    boxes.delete(this);
    this.stopData();
    this.stopCursor();
    clearTimeout(this.timer);
    this.pulse.end();
    this.size.disconnect();
    this.sight.disconnect();
    this.dimmer.end();
    unschedule(this);
  }
}
