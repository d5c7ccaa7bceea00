/** The canvas of the signal, over strips and gains. */

import { effect } from '@preact/signals';
import { clearCanvas, paintShapes } from './canvas.js';
import { elapsedOf, leg, sent, stopSignal } from './signal.js';
import { toCourses, toMoment, toSignal } from './signalfront.js';

/** @typedef {import('./picture.js').Plan} Plan */
/** The picture below: `density` is device pixels per pixel of the plan. @typedef {{plan: Plan, palette: import('./shapes.js').Palette, density: number}} Ground */

const MAX_DENSITY = 2; // enough for motion; phones would paint more than twice as many pixels

export class SignalCanvas {
  /** @param {HTMLCanvasElement} canvas @param {() => Ground | null} ground */
  constructor(canvas, ground) {
    this.canvas = canvas;
    this.ground = ground;
    this.frame = 0;
    /** The plan of the cached courses. @type {Plan | null} */
    this.plan = null;
    /** @type {ReturnType<typeof toCourses> | null} */
    this.courses = null;
    this.stop = effect(() => this.follow(sent.value));
  }

  /** Redraw after the picture below has changed. */
  redraw() {
    this.follow(sent.peek());
  }

  /** Draw animation frames until the signal ends or is paused. @param {typeof sent.value} value */
  follow(value) {
    cancelAnimationFrame(this.frame);
    if (this.canvas.hidden !== (value === null)) this.canvas.hidden = value === null;
    if (value) this.step(value);
  }

  /** Draw one animation frame and schedule the next. @param {NonNullable<typeof sent.value>} value */
  step(value) {
    const moment = toMoment(elapsedOf(value));
    if (!moment) return stopSignal();
    leg.value = moment.leg;
    this.draw(moment);
    if (value.paused === null) this.frame = requestAnimationFrame(() => this.step(value));
  }

  /** Draw the signal at a moment. @param {import('./signalfront.js').Moment} moment */
  draw(moment) {
    const ground = this.ground();
    if (!ground) return;
    const { plan, palette, density } = ground;
    if (this.plan !== plan || !this.courses) [this.plan, this.courses] = [plan, toCourses(plan)];
    const { width, height } = plan.layout;
    const context = clearCanvas(this.canvas, width, height, Math.min(density, MAX_DENSITY));
    paintShapes(context, toSignal(plan, this.courses, moment), palette);
  }

  end() {
    this.stop();
    cancelAnimationFrame(this.frame);
  }
}
