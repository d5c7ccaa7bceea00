/** A hand on a plot: the layer that it points at, the click that pins a cursor, the double click that shows all, the range that it draws. */

import { stepNear, stepsOn } from '../data/steps.js';
import { moveCursor, moveInterval, moveStep, restoreCursors } from '../state/actions.js';
import * as state from '../state/signals.js';
import { cursorsNow, showAll } from './boxes.js';
import { magnificationOf } from './dimmer.js';
import { listen, readHover } from './plot.js';
import { layersWithin, OwnZoom } from './zoom.js';

/** What a hand needs to know of the plot under it. @typedef {{box: HTMLElement, plot: HTMLElement, shown: import('../../types').Figure | null,
 *   areas: () => import('./plot.js').Area[], layersShown: () => string, placeCursor: () => void, forceRedraw: () => void}} Held */

/** Two taps within this time are a double tap, as Plotly counts; a mouse counts by itself. */
const DOUBLE_MS = 300;

export class PlotPointer {
  /** @param {Held} target */
  constructor(target) {
    this.target = target;
    this.zoom = new OwnZoom();
    /** When the plot was clicked last, and where the cursors were before. */
    this.before = { at: -Infinity, ...cursorsNow() };
    /** Whether the button is pressed for the second time, as in a double click. */
    this.isSecond = false;
    this.frame = 0;
    const { box, plot } = target;
    plot.addEventListener('mousedown', (event) => this.press(event), { capture: true });
    box.addEventListener(
      'pointerdown',
      ({ pointerType }) => box.classList.toggle('by-touch', pointerType === 'touch'),
      {
        capture: true,
      },
    );
    box.addEventListener('pointermove', (event) => this.point(event));
    box.addEventListener('pointerleave', () => this.leave());
  }

  /** Once there is a plot. */
  listen() {
    const { target } = this;
    listen(target.plot, {
      onClick: (places) => this.pin(places),
      onDoubleClick: () => this.reset(),
      onHover: () => this.writeHover(),
      onMove: () => target.placeCursor(),
      onZoom: (ranges) => this.zoomTo(ranges),
    });
  }

  /** Plotly asks whether a second click came in time when it has drawn what the first one asked for: then it may be too late. @param {MouseEvent} event */
  press({ detail }) {
    this.isSecond = detail === 2;
    if (detail === 1) this.before = { ...this.before, ...cursorsNow() };
    if (this.isSecond) addEventListener('mouseup', () => setTimeout(() => this.reset()), { once: true });
  }

  /** All cards show the layer under a pointer, once a frame; a finger points by pressing. @param {PointerEvent} event */
  point({ clientX, clientY, pointerType }) {
    if (pointerType === 'touch') return;
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => {
      state.hovered.value = this.layerUnder(clientX, clientY);
    });
  }

  leave() {
    cancelAnimationFrame(this.frame);
    state.hovered.value = null;
  }

  /** The layer at a point of the screen, from 0; of two axes that count layers, the first is meant. @param {number} clientX @param {number} clientY */
  layerUnder(clientX, clientY) {
    const { box, shown } = this.target;
    const kinds = shown?.layout.meta.layers ?? {};
    const frame = box.getBoundingClientRect();
    const by = magnificationOf(box);
    const [x, y] = [(clientX - frame.left) / by, (clientY - frame.top) / by];
    const area = this.target
      .areas()
      .find(({ left, top, width, height }) => x >= left && x <= left + width && y >= top && y <= top + height);
    if (!area || !(area.x in kinds)) return null;
    const place = (x - area.toX(0)) / (area.toX(1) - area.toX(0));
    const { first, last } = state.interval.peek();
    return Math.min(Math.max(Math.round(place) - 1, first), last);
  }

  /** Under a finger the label would hide the figure: its words stand below. */
  writeHover() {
    const { box, plot } = this.target;
    const strip = box.nextElementSibling;
    if (strip) strip.textContent = box.classList.contains('by-touch') ? readHover(plot) : '';
  }

  /** A click puts the cursors where it was; of two axes that count layers, the first is meant. @param {Record<string, number>} places by axis */
  pin(places) {
    this.writeHover(); // a finger does not hover
    const at = performance.now();
    if (this.isSecond || at - this.before.at < DOUBLE_MS) return;
    this.before = { at, ...cursorsNow() };
    const { shown } = this.target;
    if (!shown) return;
    const { layers = {}, steps = {} } = shown.layout.meta;
    const [layer, step] = [layers, steps].map((kinds) => Object.entries(places).find(([axis]) => axis in kinds));
    if (layer) moveCursor(Math.round(layer[1]) - 1);
    if (step) moveStep(stepNear(stepsOn(shown, step[0]) ?? [], step[1]));
  }

  /** A double click shows all again, and nothing else: its first click has put the cursors somewhere. */
  reset() {
    restoreCursors(this.before);
    showAll();
  }

  /** A range of layers is one for all cards. @param {import('./zoom.js').Ranges} ranges that a hand has given to axes */
  zoomTo(ranges) {
    const kinds = this.target.shown?.layout.meta.layers ?? {};
    const layers = layersWithin(kinds, ranges);
    if (layers) moveInterval(layers);
    this.zoom.set(this.target.layersShown(), ranges, kinds);
    this.target.forceRedraw(); // an axis ends at whole layers
  }

  end() {
    cancelAnimationFrame(this.frame);
  }
}
