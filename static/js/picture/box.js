/** The picture, which redraws itself: one canvas for static parts, one for parts that follow the cursor, one for the signal. */

import { effect } from '@preact/signals';
import { boxes, cursorsNow, showAll } from '../plots/boxes.js';
import { Dimmer, magnificationOf } from '../plots/dimmer.js';
import { scheduleDraw, unschedule } from '../plots/plot.js';
import { isPrinting } from '../plots/print.js';
import { moveCursor, restoreCursors } from '../state/actions.js';
import { dropPressed } from '../state/early.js';
import { describeEdit, describeLayers, moveEdit, toggleEdit } from '../state/editlist.js';
import {
  canEdit,
  deriveCut,
  dragEdits,
  editsByRun,
  editsOf,
  finishEditDrag,
  isComputing,
  requestCut,
  setEdits,
  targetOf,
  toggleStream,
} from '../state/edits.js';
import { whenIdle } from '../state/idle.js';
import * as state from '../state/signals.js';
import { isUnconstrained } from '../state/spec.js';
import { clearCanvas, paintShapes } from './canvas.js';
import { toCaptionLines } from './captions.js';
import { dragLayers, gripAt, isOnMixing, laneAt, magnifiedLaneAt } from './editmarks.js';
import { magnifierOf, mixingAreaOf } from './inside.js';
import { labelAt, layerAt, toLayout } from './layout.js';
import {
  frameOf,
  ribbonAt,
  toBackShapes,
  toCursor,
  toFrame,
  toFrontShapes,
  toOrder,
  toPlan,
  toStaticShapes,
} from './picture.js';
import { rangesDrawn } from './seeds.js';
import { areEqual } from './shapes.js';
import {
  chooseShown,
  chosenRun,
  guessStreams,
  hasSeeds,
  isFading,
  isLog,
  isMixed,
  isOpen,
  lacksRuns,
  magnifiedKind,
  magnifiedRun,
  magnifyRun,
  matrixOpened,
  openMatrix,
  toPalette,
  toRuns,
} from './shown.js';
import { SignalCanvas } from './signalcanvas.js';
import { exchangeAt } from './strip.js';
import { toSvg } from './svg.js';
import { describeExchange, TITLE, toSentence } from './words.js';

/** A stream of a run at a layer. @typedef {{run: number, stream: number, layer: number}} Lane */

const SLACK_PX = 12;
const CLICK_PX = 3; // largest movement of the pointer in a click
const DOUBLE_CLICK_MS = 500;
const TIP_PX = 14; // from the pointer to the tooltip

export class PictureBox {
  /** @param {HTMLDivElement} box contains the canvases, the cursor's frame and the printed version */
  constructor(box) {
    this.box = box;
    const [still, cursor, front] = /** @type {NodeListOf<HTMLCanvasElement>} */ (box.querySelectorAll('canvas'));
    this.still = still;
    this.cursor = cursor;
    const find = (/** @type {string} */ name) => /** @type {HTMLElement} */ (box.querySelector(name));
    this.frame = find('.picture-frame');
    this.tip = find('.picture-tip');
    this.paper = find('.picture-paper');
    /** The drawn columns. @type {import('./shown.js').Chosen | null} */
    this.chosen = null;
    /** @type {import('./picture.js').Plan | null} */
    this.plan = null;
    /** @type {import('./shapes.js').Palette} */
    this.palette = {};
    /** Key of the drawn state. */
    this.drawn = '';
    /** What is behind the static parts, and a canvas with it if it was the same in the last two drawings. @type {{key: any, canvas: HTMLCanvasElement | null}} */
    this.back = { key: null, canvas: null };
    /** What the canvas of the cursor shows: shapes, colours and size. @type {any} */
    this.cursorDrawn = null;
    /** Sizes need a pass; names, gains and the magnified layer may be derived earlier. */
    this.dimmers = { sizes: new Dimmer(still), mixing: new Dimmer(cursor) };
    this.timer = 0;
    this.density = 1;
    this.zoom = 1;
    /** Whether painting must be quick: while a slider moves, on screens whose lines are not wider than a pixel. */
    this.isQuick = false;
    this.isDragging = false;
    /** Position of the last press. @type {[number, number] | null} */
    this.pressed = null;
    /** Time of the last click on the strips, in ms. */
    this.clickedAt = -Infinity;
    /** The grabbed edit, the layer of the press, and the edits before. @type {{grip: import('./editmarks.js').Grip, layer: number, edits: import('../../types').Edit[], isMoved: boolean} | null} */
    this.grabbed = null;
    /** The stream whose cut was last derived ahead. @type {Lane | null} */
    this.expected = null;
    this.isInSight = true;
    /** Size and magnification before a drag, cached because measuring forces a layout. @type {{width: number, zoom: number} | null} */
    this.room = null;
    /** Cursors before the last press, and before the press before it. */
    this.before = [cursorsNow(), cursorsNow()];
    boxes.add(this);
    if (lacksRuns()) this.reserve();
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
      [state.isMoving.value, isLog.value, isOpen.value, rangesDrawn.value];
      this.redraw();
    });
    this.stopCursor = effect(() => {
      [state.cursor.value, state.layers.value, state.chosenInterval.value, state.hovered.value];
      [chosenRun.value, magnifiedKind.value, editsByRun.value, matrixOpened.value];
      this.drawSoon();
    });
    // Redraw text that was drawn before its font was loaded.
    const onFonts = () => {
      this.drawn = '';
      this.cursorDrawn = null;
      this.drawSoon();
    };
    document.fonts.addEventListener('loadingdone', onFonts);
    this.stopFonts = () => document.fonts.removeEventListener('loadingdone', onFonts);
    this.signal = new SignalCanvas(
      front,
      () => this.plan && { plan: this.plan, palette: this.palette, density: this.density },
    );
    this.listen();
  }

  /** Schedule a drawing; short runs are drawn once they are complete, as in other figures. */
  redraw() {
    this.mark();
    clearTimeout(this.timer);
    const isWaiting = state.phase.peek() === 'running' && state.hasDrawn.peek();
    const rest = isWaiting ? state.dueAt.peek() - performance.now() : 0;
    if (rest > 0) this.timer = setTimeout(() => this.redraw(), rest);
    else this.drawSoon();
  }

  drawSoon() {
    this.mark();
    scheduleDraw(this, () => this.draw());
  }

  /** Mark the picture as one that is not drawn yet; during a drag it is drawn in this frame, and to mark it would cost styles twice. */
  mark() {
    if (!(state.followsPointer() && this.isInSight)) this.box.setAttribute('aria-busy', 'true');
  }

  /** Return width and magnification of the box. */
  measure() {
    const isKept = state.isMoving.peek();
    if (isKept && this.room) return this.room;
    const zoom = magnificationOf(this.box);
    const room = { width: Math.floor(this.box.clientWidth / zoom), zoom };
    this.room = isKept ? room : null;
    return room;
  }

  /** Draw the picture if its data, size or look changed. */
  draw() {
    if (!this.isInSight && state.isMoving.peek()) return; // once the pointer rests
    const templates = state.templates.peek();
    const { width, zoom } = this.measure();
    if (width === 0) return;
    if (!templates || lacksRuns()) {
      if (['unconfirmed', 'refused'].includes(state.phase.peek())) this.box.removeAttribute('aria-busy');
      return this.reserve();
    }
    const chosen = chooseShown(templates, this.chosen);
    this.dimmers.sizes.set(chosen.sizes.isStale || state.isOutdated.peek());
    this.dimmers.mixing.set(chosen.mixing.isStale || state.isOutdated.peek());
    this.palette = toPalette(templates);
    const density = zoom * devicePixelRatio;
    // Until the runs of a moved slider end, so that a release does not paint twice.
    const isPending = state.isMoving.peek() || (this.isQuick && ['checking', 'running'].includes(state.phase.peek()));
    Object.assign(this, { density, zoom, isQuick: isPending && density <= 1 });
    const layers = state.layers.peek();
    const look = { isLog: isLog.peek(), isOpen: isOpen.peek() };
    const wanted = [
      ...[...chosen.sizes.places, ...chosen.mixing.places].map(({ signature }) => signature),
      chosen.step,
      chosen.sizes.isStale,
      width,
      density,
      layers,
      look.isLog,
      look.isOpen,
      rangesDrawn.peek(),
      this.isQuick,
      Object.values(this.palette),
    ].join('|');
    if (wanted !== this.drawn || !this.plan) {
      this.plan = toPlan(toRuns(chosen), width, layers, look);
      this.takeRoom(this.plan.layout);
      this.paintStill(this.plan);
      this.signal.redraw();
      isFading.value = this.plan.isFading;
      isMixed.value = this.plan.isMixed;
      hasSeeds.value = this.plan.hasSeeds;
    }
    Object.assign(this, { drawn: wanted, chosen });
    this.plan.edits = editsByRun.peek();
    this.drawCursor(this.plan);
    this.print(this.plan);
    this.describe();
    if (state.phase.peek() !== 'loading') this.box.removeAttribute('aria-busy');
  }

  /** Draw what follows the cursor. @param {import('./picture.js').Plan} plan */
  drawCursor(plan) {
    const layer = this.layer(plan);
    this.paintCursor(plan, toCursor(plan, layer, state.chosenInterval.peek(), magnifiedRun(plan.runs)));
    const { x, y, width, height } = frameOf(plan.layout, layer);
    const px = (/** @type {number} */ value) => `${value * this.zoom}px`;
    Object.assign(this.frame.style, {
      width: px(width),
      height: px(height),
      transform: `translate(${px(x)}, ${px(y)})`,
    });
    const isHidden = plan.runs.every(({ reading }) => !reading);
    if (this.frame.hidden !== isHidden) this.frame.hidden = isHidden;
    if (matrixOpened.peek()) this.placeMatrix(plan, layer);
  }

  /** Set where the matrix of the magnified layer is edited: over its mixing. @param {import('./picture.js').Plan} plan @param {number} layer */
  placeMatrix({ runs, layout }, layer) {
    const run = magnifiedRun(runs);
    const reading = run === null ? null : runs[run].reading;
    const area = reading && mixingAreaOf(reading, layout, layer);
    const outer = /** @type {HTMLElement} */ (this.box.parentElement);
    for (const name of /** @type {const} */ (['x', 'y', 'width', 'height']))
      outer.style.setProperty(`--matrix-${name}`, `${(area?.[name] ?? 0) * this.zoom}px`);
  }

  /** Return the shown layer, from 0: the hovered one, else that of the cursor. @param {import('./picture.js').Plan} plan */
  layer({ layout }) {
    return Math.min(state.hovered.peek() ?? state.cursor.peek(), layout.layers - 1);
  }

  /** Draw SVG for printing, because browsers may print an empty canvas. @param {import('./picture.js').Plan} plan */
  print(plan) {
    if (!isPrinting.peek()) {
      if (this.paper.firstChild) this.takeRoom(plan.layout);
      return this.paper.replaceChildren();
    }
    this.box.style.setProperty('height', 'auto');
    const { layout, runs } = toPlan(plan.runs, plan.layout.width, plan.layout.layers, {
      isLog: isLog.peek(),
      isOpen: true,
      edits: plan.edits,
    });
    const layer = Math.min(state.cursor.peek(), layout.layers - 1);
    const fullPlan = { ...plan, layout };
    const shapes = [
      ...toStaticShapes(fullPlan),
      toFrame(layout, layer),
      ...toCursor(fullPlan, layer, state.chosenInterval.peek(), magnifiedRun(runs)),
      ...toCaptionLines(fullPlan),
    ];
    this.paper.innerHTML = toSvg(shapes, this.palette, layout);
  }

  /** Reserve the height of the coming picture, so that nothing below moves. */
  reserve() {
    const zoom = magnificationOf(this.box);
    const order = toOrder(state.view.peek().runs.map(({ kind }) => ({ isUnconstrained: isUnconstrained(kind) })));
    const look = { order, isOpen: isOpen.peek() };
    this.zoom = zoom;
    this.takeRoom(toLayout(this.box.clientWidth / zoom, guessStreams(), state.layers.peek(), look));
  }

  /** Set the height of the picture, and the position of its buttons. @param {import('./layout.js').Layout} layout */
  takeRoom({ height, strips, inside, form }) {
    const px = (/** @type {number} */ value) => `${value * this.zoom}px`;
    this.box.style.setProperty('min-height', '0');
    this.box.style.setProperty('height', px(height));
    const outer = /** @type {HTMLElement} */ (this.box.parentElement);
    const wanted = { form, inside: inside ? 'open' : 'closed' };
    for (const [name, value] of Object.entries(wanted)) if (outer.dataset[name] !== value) outer.dataset[name] = value; // an equal value, too, makes the browser compute styles
    outer.style.setProperty('--row-top', px(strips.bottom + 22));
    outer.style.setProperty('--inside', px(inside && inside.top === 0 ? inside.right - inside.left : 0));
  }

  /** Paint shapes on a canvas. @param {HTMLCanvasElement} canvas @param {import('./shapes.js').Shape[]} shapes @param {{back?: HTMLCanvasElement | null, isQuick?: boolean}} [options] what is behind them, of the same size; default none */
  paintOn(canvas, shapes, { back = null, isQuick = false } = {}) {
    if (!this.plan) return;
    const { width, height } = this.plan.layout;
    const context = clearCanvas(canvas, width, height, this.density);
    if (back) {
      context.save();
      context.resetTransform(); // pixel by pixel, for any density
      context.drawImage(back, 0, 0);
      context.restore();
    }
    paintShapes(context, shapes, this.palette, isQuick);
  }

  /** Paint the static parts. During a drag the ribbons behind them are painted once while they stay the same, as for the drift. @param {import('./picture.js').Plan} plan */
  paintStill(plan) {
    const { width, height } = plan.layout;
    const [back, front] = [toBackShapes(plan), toFrontShapes(plan)];
    const key = [back, this.palette, width, height, this.density];
    const isKept = state.isMoving.peek() && areEqual(key, this.back.key);
    if (!isKept) this.back = { key, canvas: null };
    else if (!this.back.canvas) {
      this.back.canvas = document.createElement('canvas');
      this.paintOn(this.back.canvas, back);
    }
    const { canvas } = this.back;
    this.paintOn(this.still, canvas ? front : [...back, ...front], { back: canvas, isQuick: this.isQuick });
  }

  /** Paint what follows the cursor if it changed: most Sinkhorn rounds leave it as it is. @param {import('./picture.js').Plan} plan @param {import('./shapes.js').Shape[]} shapes */
  paintCursor({ layout: { width, height } }, shapes) {
    const drawn = [shapes, this.palette, width, height, this.density];
    if (areEqual(drawn, this.cursorDrawn)) return;
    this.cursorDrawn = drawn;
    this.paintOn(this.cursor, shapes);
  }

  /** Describe the picture for screen readers. */
  describe() {
    const layer = state.cursor.peek();
    const sentences = this.plan?.runs.map((shown) => toSentence(shown, layer)) ?? [];
    this.box.setAttribute('aria-label', [TITLE, ...sentences].join('. '));
  }

  /** Listen to the pointer: dragging on the strips moves the cursor, also by touch unless that scrolls the page. */
  listen() {
    const { box } = this;
    box.addEventListener('pointerdown', (event) => {
      if (this.grab(event) || this.pressMagnifier(event)) return;
      const run = this.runUnder(event);
      if (run !== null) this.choose(run);
      this.isDragging = this.layerUnder(event) !== null;
      if (!this.isDragging) return;
      this.pressed = this.placeOf(event);
      this.requestCut(event);
      this.before = [cursorsNow(), this.before[0]];
      state.hovered.value = null; // dragging moves the cursor instead
      this.tip.hidden = true;
      box.setPointerCapture(event.pointerId);
      if (event.pointerType !== 'touch') this.point(event);
    });
    box.addEventListener('pointermove', (event) => {
      if (this.grabbed) this.drag(event);
      else if (this.isDragging) {
        this.point(event);
        if (!this.isClick(event)) dropPressed();
      } else this.hover(event);
    });
    box.addEventListener('pointerleave', () => {
      state.hovered.value = null;
      this.tip.hidden = true;
    });
    box.addEventListener('pointerup', (event) => {
      if (this.grabbed) return this.drop(event);
      if (this.isDragging) {
        this.point(event);
        this.press(event);
      }
      this.isDragging = false;
    });
    box.addEventListener('click', (event) => {
      if (this.isOnMatrix(/** @type {PointerEvent} */ (event))) openMatrix('pointer');
    });
    box.addEventListener('dblclick', () => {
      restoreCursors(this.before[1]); // its presses moved the cursor
      showAll();
    });
    box.addEventListener('pointercancel', () => {
      if (this.grabbed?.isMoved) finishEditDrag();
      this.grabbed = null;
      this.isDragging = false;
      dropPressed();
    });
  }

  /** Return the position of the pointer, in pixels of the plan. @param {PointerEvent} event @returns {[number, number]} */
  placeOf({ clientX, clientY }) {
    const { left, top } = this.box.getBoundingClientRect();
    return [(clientX - left) / this.zoom, (clientY - top) / this.zoom];
  }

  /** Return the layer under the pointer; null outside the strips. @param {PointerEvent} event */
  layerUnder(event) {
    if (!this.plan) return null;
    const [x, y] = this.placeOf(event);
    const isBelow = y > this.plan.layout.strips.bottom + SLACK_PX;
    return isBelow && !this.isDragging ? null : layerAt(this.plan.layout, x, this.isDragging ? Infinity : SLACK_PX);
  }

  /** Return the run whose name or gain is under the pointer. @param {PointerEvent} event */
  runUnder(event) {
    if (!this.plan) return null;
    const run = labelAt(this.plan.layout, ...this.placeOf(event));
    return run !== null && this.plan.runs[run].reading ? run : null;
  }

  /** Cut the clicked stream of the magnified run, or choose the run of a clicked ribbon; a drag across it does neither. @param {PointerEvent} event */
  press(event) {
    if (!this.isClick(event) || !this.plan) return;
    const lane = this.laneToCut(event);
    this.clickedAt = event.timeStamp;
    if (lane) return toggleStream(lane.run, 'zero', lane.stream, lane.layer);
    const run = ribbonAt(this.plan, ...this.placeOf(event));
    if (run !== null) this.choose(run);
  }

  /** Return whether the pointer has not moved since it was pressed. @param {PointerEvent} event */
  isClick(event) {
    const [x, y] = this.placeOf(event);
    return this.pressed !== null && Math.hypot(x - this.pressed[0], y - this.pressed[1]) <= CLICK_PX;
  }

  /** Return the stream that a click cuts; null if none: a double click shows all layers, and a finger covers several. @param {PointerEvent} event */
  laneToCut(event) {
    const isSecond = event.timeStamp - this.clickedAt < DOUBLE_CLICK_MS;
    return isSecond || event.pointerType === 'touch' ? null : this.laneUnder(event);
  }

  /** Request the runs after the cut that a release of the pressed button here makes. @param {PointerEvent} event */
  requestCut(event) {
    const lane = event.button === 0 ? this.laneToCut(event) : null;
    if (lane) requestCut(lane.run, lane.stream, lane.layer);
  }

  /** Return the stream of the magnified run under the pointer, which a click cuts; null if none can be cut there. @param {PointerEvent} event */
  laneUnder(event) {
    const layer = this.layerUnder(event);
    const lane = this.plan && layer !== null ? laneAt(this.plan.layout, ...this.placeOf(event)) : null;
    if (!this.plan || layer === null || lane?.run !== magnifiedRun(this.plan.runs)) return null;
    return this.isCuttable(lane.run, lane.stream, layer) ? { ...lane, layer } : null;
  }

  /** Return whether a run has a stream at a layer. @param {number} run @param {number} stream @param {number} layer */
  isCuttable(run, stream, layer) {
    return canEdit(run, { layers: [layer, layer], what: 'stream', index: stream, do: 'zero' });
  }

  /** Return the magnified layer, its run and its positions; null if it is closed. */
  magnified() {
    const run = this.plan && magnifiedRun(this.plan.runs);
    const reading = run === null ? null : this.plan?.runs[run].reading;
    if (!this.plan || !reading || run === null) return null;
    const layer = this.layer(this.plan);
    const magnifier = magnifierOf(reading, this.plan.layout, layer);
    return magnifier && { run, layer, magnifier };
  }

  /** Return the stream under the pointer in the magnified layer; null if none. @param {PointerEvent} event */
  magnifiedLaneUnder(event) {
    const found = this.magnified();
    if (!found) return null;
    const { run, layer, magnifier } = found;
    const stream = magnifiedLaneAt(magnifier, ...this.placeOf(event));
    return stream !== null && this.isCuttable(run, stream, layer) ? { run, stream, layer } : null;
  }

  /** Return whether the pointer is on a mixing matrix of the magnified layer that can be edited. @param {PointerEvent} event */
  isOnMatrix(event) {
    const found = this.magnified();
    if (!found || !isOnMixing(found.magnifier, ...this.placeOf(event))) return false;
    return canEdit(found.run, { layers: [found.layer, found.layer], what: 'h_res', do: 'identity' });
  }

  /** Cut the pressed stream of the magnified layer; return whether one was pressed. @param {PointerEvent} event */
  pressMagnifier(event) {
    const lane = this.magnifiedLaneUnder(event);
    if (lane) toggleStream(lane.run, 'zero', lane.stream, lane.layer);
    return lane !== null;
  }

  /** Return the edit under the pointer. @param {PointerEvent} event */
  gripUnder(event) {
    const { plan } = this;
    if (!isComputing || !plan) return null;
    return gripAt(editsByRun.peek(), plan.layout, ...this.placeOf(event), event.pointerType === 'touch');
  }

  /** Grab the edit under the pointer; return whether there is one. @param {PointerEvent} event */
  grab(event) {
    const grip = this.gripUnder(event);
    const layer = grip && this.plan ? layerAt(this.plan.layout, this.placeOf(event)[0], Infinity) : null;
    if (!grip || layer === null) return false;
    this.grabbed = { grip, layer, edits: editsOf(targetOf(grip.run)), isMoved: false };
    state.hovered.value = null;
    this.tip.hidden = true;
    this.box.setPointerCapture(event.pointerId);
    return true;
  }

  /** Move the grabbed edit, or its end, to the layer under the pointer. @param {PointerEvent} event */
  drag(event) {
    const { grabbed, plan } = this;
    const layer = plan && layerAt(plan.layout, this.placeOf(event)[0], Infinity);
    if (!grabbed || !plan || layer === null || (!grabbed.isMoved && layer === grabbed.layer)) return;
    const { grip, edits } = grabbed;
    grabbed.isMoved = true;
    dragEdits(targetOf(grip.run), grip.part === 'handle' ? this.restoreAt(layer) : this.moveTo(layer));
    this.showTip(
      event,
      grip.part === 'handle' ? `restored at layer ${layer + 1}` : describeEdit(edits[grip.mark.place]),
    );
  }

  /** Return the edits with the grabbed one moved to a layer. @param {number} layer */
  moveTo(layer) {
    const { grip, layer: from, edits } = /** @type {NonNullable<typeof this.grabbed>} */ (this.grabbed);
    const { edit, place } = grip.mark;
    const depth = this.plan?.runs[grip.run].reading?.layers ?? 1;
    return moveEdit(edits, place, ...dragLayers(edit, grip.part, from, Math.min(layer, depth - 1), depth));
  }

  /** Return the edits with the stream of the grabbed cut restored at a layer after it. @param {number} layer */
  restoreAt(layer) {
    const { grip, edits } = /** @type {NonNullable<typeof this.grabbed>} */ (this.grabbed);
    const { layers, index = 0 } = grip.mark.edit;
    const last = (this.plan?.runs[grip.run].reading?.layers ?? 1) - 1;
    const at = Math.min(last, Math.max(layers[1] + 1, layer));
    return at > layers[1] ? toggleEdit(edits, 'restore', index, at) : edits;
  }

  /** Release the grabbed edit: a click on a handle restores the stream after the cut, a click elsewhere removes the edit. A tap moves the cursor instead, because a finger covers several layers. @param {PointerEvent} event */
  drop({ pointerType }) {
    const { grip, edits, layer, isMoved } = /** @type {NonNullable<typeof this.grabbed>} */ (this.grabbed);
    const target = targetOf(grip.run);
    if (isMoved) finishEditDrag();
    else if (pointerType === 'touch') moveCursor(layer);
    else setEdits(target, grip.part === 'handle' ? this.restoreAt(0) : edits.toSpliced(grip.mark.place, 1));
    this.grabbed = null;
    this.tip.hidden = true;
  }

  /** Magnify a run of the picture. @param {number} run */
  choose(run) {
    magnifyRun(run);
    if (this.plan) this.drawCursor(this.plan);
  }

  /** Show the layer under the pointer in all figures. @param {PointerEvent} event */
  hover(event) {
    if (event.target !== this.box && !(event.target instanceof HTMLCanvasElement)) return;
    const layer = this.layerUnder(event);
    const run = this.runUnder(event);
    const shown = run === null ? undefined : this.plan?.runs[run];
    const isTouch = event.pointerType === 'touch';
    const act = isTouch ? null : this.describeAct(event);
    this.box.title = shown?.name ?? shown?.label ?? '';
    const resizes = layer !== null && (!act || act.isMoved);
    this.box.style.setProperty('cursor', resizes ? 'ew-resize' : act || run !== null ? 'pointer' : 'auto');
    const { first, last } = state.interval.peek();
    const isChosen = layer !== null && layer >= first && layer <= last;
    if (!isTouch) state.hovered.value = isChosen ? layer : null;
    const weight = act?.isMoved ? null : this.weightUnder(event);
    const words = [weight && describeExchange(weight), act?.words].filter(Boolean).join(' · ');
    this.showTip(event, isTouch ? '' : words);
    if (act?.lane) this.expectCut(act.lane);
  }

  /** Derive the columns after a cut while the browser is idle, because the next click probably makes it. @param {Lane} lane */
  expectCut(lane) {
    const { run, stream, layer } = lane;
    if (areEqual(lane, this.expected)) return;
    this.expected = lane;
    whenIdle(() => this.expected === lane && deriveCut(run, stream, layer));
  }

  /** Describe what a press would do to the edits; null if nothing. `lane`: the stream that a click cuts. @param {PointerEvent} event @returns {{words: string, isMoved: boolean, lane?: Lane} | null} */
  describeAct(event) {
    const grip = this.gripUnder(event);
    if (grip?.part === 'handle') return { words: 'drag to where the stream is restored', isMoved: true };
    if (grip) return { words: `${describeEdit(grip.mark.edit)}: drag to move, click to remove`, isMoved: true };
    const lane = this.laneUnder(event) ?? this.magnifiedLaneUnder(event);
    if (!lane && this.isOnMatrix(event)) return { words: 'click to edit the mixing matrix', isMoved: false };
    if (!lane) return null;
    const where = describeLayers([lane.layer, lane.layer]);
    return { words: `click to cut stream ${lane.stream + 1} ${where}`, isMoved: false, lane };
  }

  /** Return the mixing line under the pointer; null if none. @param {PointerEvent} event */
  weightUnder(event) {
    const { plan } = this;
    const [x, y] = this.placeOf(event);
    const found = plan?.layout.bands.map((band, run) => exchangeAt(plan.exchanges[run], plan.layout, band, x, y));
    return found?.find((exchange) => exchange !== null) ?? null;
  }

  /** Show a text next to the pointer; none if it is empty. @param {PointerEvent} event @param {string} words */
  showTip(event, words) {
    const [x, y] = this.placeOf(event);
    this.tip.hidden = words === '';
    if (words === '') return;
    this.tip.textContent = words;
    this.tip.style.setProperty(
      'transform',
      `translate(${(x + TIP_PX) * this.zoom}px, ${(y - 2 * TIP_PX) * this.zoom}px)`,
    );
  }

  /** Move the cursor to the layer under the pointer. @param {PointerEvent} event */
  point(event) {
    const layer = this.layerUnder(event);
    if (layer !== null) moveCursor(layer);
  }

  end() {
    boxes.delete(this);
    this.stopData();
    this.stopCursor();
    this.stopFonts();
    this.signal.end();
    clearTimeout(this.timer);
    this.size.disconnect();
    this.sight.disconnect();
    for (const dimmer of Object.values(this.dimmers)) dimmer.end();
    unschedule(this);
  }
}
