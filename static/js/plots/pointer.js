/** Handles the pointer on a plot: hovered layer, click to move the cursor, double click to reset, drag to zoom. */

import { stepNear, stepsOn } from '../figures/steps.js';
import { moveCursor, moveInterval, moveStep, restoreCursors } from '../state/actions.js';
import * as state from '../state/signals.js';
import { cursorsNow, showAll } from './boxes.js';
import { magnificationOf } from './dimmer.js';
import { listenToPlot, readHover } from './plot.js';
import { layersWithin, OwnZoom } from './zoom.js';

/** The plot that receives pointer events. @typedef {{box: HTMLElement, plot: HTMLElement, shown: import('../../types').Figure | null,
 *   areas: () => import('./plot.js').Area[], layersShown: () => string, placeCursor: () => void, forceRedraw: () => void}} Target */

/** Largest time between the taps of a double tap, as in Plotly; mouse events contain a click count. */
const DOUBLE_MS = 300;

export class PlotPointer {
  /** @param {Target} target */
  constructor(target) {
    this.target = target;
    this.zoom = new OwnZoom();
    /** Time of the last click, and the cursors before it. */
    this.before = { at: -Infinity, ...cursorsNow() };
    /** Whether the current press is the second of a double click. */
    this.isSecond = false;
    this.frame = 0;
    const { box, plot } = target;
    plot.addEventListener('mousedown', (event) => this.press(event), { capture: true });
    box.addEventListener(
      'pointerdown',
      ({ pointerType }) => box.classList.toggle('by-touch', pointerType === 'touch'),
      { capture: true },
    );
    box.addEventListener('pointermove', (event) => this.point(event));
    box.addEventListener('pointerleave', () => this.leave());
  }

  /** Listen to events of the plot; call after the first drawing. */
  listen() {
    const { target } = this;
    listenToPlot(target.plot, {
      onClick: (places) => this.pin(places),
      onDoubleClick: () => this.reset(),
      onHover: () => this.writeHover(),
      onMove: () => target.placeCursor(),
      onZoom: (ranges) => this.zoomTo(ranges),
    });
  }

  /** Detect double clicks: Plotly checks for the second click only after drawing the result of the first, which may be too late. @param {MouseEvent} event */
  press({ detail }) {
    this.isSecond = detail === 2;
    if (detail === 1) this.before = { ...this.before, ...cursorsNow() };
    if (this.isSecond) addEventListener('mouseup', () => setTimeout(() => this.reset()), { once: true });
  }

  /** Set the layer that is hovered in all cards, once per animation frame; ignored for touch. @param {PointerEvent} event */
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

  /** Return the layer at a point of the screen, from 0; the horizontal axis wins if both axes count layers. @param {number} clientX @param {number} clientY */
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
    const position = (x - area.toX(0)) / (area.toX(1) - area.toX(0));
    const { first, last } = state.interval.peek();
    return Math.min(Math.max(Math.round(position) - 1, first), last);
  }

  /** Write the hover text below the figure for touch: a finger covers the label. */
  writeHover() {
    const { box, plot } = this.target;
    const strip = box.nextElementSibling;
    if (strip) strip.textContent = box.classList.contains('by-touch') ? readHover(plot) : '';
  }

  /** Move the cursors to a clicked layer or step; the first axis wins if both count layers. @param {Record<string, number>} places by axis */
  pin(places) {
    this.writeHover(); // touch has no hover events
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

  /** Show all layers on a double click, and undo the cursor move of its first click. */
  reset() {
    restoreCursors(this.before);
    showAll();
  }

  /** Apply a zoom: a range of layers applies to all cards. @param {import('./zoom.js').Ranges} ranges of the zoomed axes */
  zoomTo(ranges) {
    const kinds = this.target.shown?.layout.meta.layers ?? {};
    const layers = layersWithin(kinds, ranges);
    if (layers) moveInterval(layers);
    this.zoom.set(this.target.layersShown(), ranges, kinds);
    this.target.forceRedraw(); // axes end at whole layers
  }

  end() {
    cancelAnimationFrame(this.frame);
  }
}
