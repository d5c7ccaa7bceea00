/** The canvas on which a signal passes: as narrow as what it shows, and moved along with it, so that little is painted a frame. */

import { effect } from '@preact/signals';
import { clear, paint } from './canvas.js';
import { STILL, toLens, toMoment, toPulse, windowOf } from './geometry/pulse.js';
import { sentAt, stopSignal } from './signal.js';

/** @typedef {import('./geometry/pulse.js').Moment} Moment */
/** What it lies over: `density` device pixels to one of the plan, `zoom` CSS pixels. `layer` is magnified. @typedef {{plan: import('./geometry/picture.js').Plan, layer: number, palette: import('./geometry/shapes.js').Palette, density: number, zoom: number}} Ground */

const MAX_DENSITY = 2; // what moves needs no more, and a phone would paint twice as many pixels
const stillness = matchMedia('(prefers-reduced-motion: reduce)');

export class PulseCanvas {
  /** @param {HTMLCanvasElement} canvas @param {() => Ground | null} ground */
  constructor(canvas, ground) {
    this.canvas = canvas;
    this.ground = ground;
    this.frame = 0;
    /** The layer that was magnified when the signal was sent: a cursor that moves changes no pace. @type {import('./geometry/pulse.js').Lens | null} */
    this.lens = null;
    this.stop = effect(() => this.follow(sentAt.value));
  }

  /** What lies under it has changed. */
  redraw() {
    this.follow(sentAt.peek());
  }

  /** Draw a signal frame by frame until it is over; where motion is not wanted, its ends alone. @param {number | null} sent */
  follow(sent) {
    cancelAnimationFrame(this.frame);
    this.canvas.hidden = sent === null;
    if (sent === null) this.lens = null;
    else if (stillness.matches) this.draw(STILL);
    else this.step(sent);
  }

  /** @param {number} sent */
  step(sent) {
    const ground = this.ground();
    if (ground && !this.lens) this.lens = toLens(ground.layer, ground.plan.layout.layers);
    const moment = this.lens ? toMoment(performance.now() - sent, this.lens) : null;
    if (ground && moment === null) return stopSignal();
    if (ground && moment) this.draw([this.lens?.layer === ground.layer ? moment : { ...moment, inside: null }]);
    this.frame = requestAnimationFrame(() => this.step(sent));
  }

  /** @param {Moment[]} moments */
  draw(moments) {
    const ground = this.ground();
    if (!ground) return;
    const { plan, palette, density, zoom, layer } = ground;
    const { left, width } = windowOf(plan.layout, moments);
    const { height } = plan.layout;
    const context = clear(this.canvas, width, height, Math.min(density, MAX_DENSITY));
    context.translate(-left, 0);
    paint(
      context,
      moments.flatMap((moment) => toPulse(plan, moment, layer)),
      palette,
    );
    Object.assign(this.canvas.style, {
      width: `${width * zoom}px`,
      height: `${height * zoom}px`,
      transform: `translateX(${left * zoom}px)`,
    });
  }

  end() {
    this.stop();
    cancelAnimationFrame(this.frame);
  }
}
