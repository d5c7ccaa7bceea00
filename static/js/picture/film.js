/** Records the signal as a video: the browser records a canvas that is painted frame by frame. */

import { clearCanvas, paintShapes } from './canvas.js';
import { toCaptionLines } from './captions.js';
import { moveShapes, toArea, toCorners } from './shapes.js';
import { SIGNAL_MS, toCourses, toMoment, toSignal } from './signalfront.js';

/** @typedef {import('./shapes.js').Shape} Shape */

const TYPES = ['video/webm;codecs=vp9', 'video/webm;codecs=vp8', 'video/webm'];
const RATE = 30; // frames a second
const BITS = 6e6; // a second
const LAST_MS = 1000; // duration of the still image at the end

/** Return a video type that this browser can record; undefined if none. */
export function filmType() {
  if (typeof MediaRecorder === 'undefined' || !('captureStream' in HTMLCanvasElement.prototype)) return undefined;
  return TYPES.find((type) => MediaRecorder.isTypeSupported(type));
}

/**
 * Record the animation of a signal as a video.
 * @param {{shapes: Shape[], width: number, height: number, plan: import('./picture.js').Plan, left: number, top: number}} image the still
 *   image, and the position of the picture in it
 * @param {import('./shapes.js').Palette} palette
 * @param {string} type
 * @returns {Promise<Blob>}
 */
export async function recordFilm({ shapes, width, height, plan, left, top }, palette, type) {
  const still = document.createElement('canvas');
  paintShapes(
    clearCanvas(still, width, height, 1),
    [toArea(toCorners(0, 0, width, height), 'card'), ...shapes],
    palette,
  );
  const canvas = document.createElement('canvas');
  const context = clearCanvas(canvas, width, height, 1);
  const courses = toCourses(plan);
  context.drawImage(still, 0, 0);
  const recorder = new MediaRecorder(canvas.captureStream(RATE), { mimeType: type, videoBitsPerSecond: BITS });
  /** @type {Blob[]} */
  const parts = [];
  recorder.ondataavailable = ({ data }) => parts.push(data);
  const stopped = new Promise((resolve, reject) => {
    recorder.onstop = resolve;
    recorder.onerror = reject;
  });
  recorder.start();
  await eachFrame(SIGNAL_MS + LAST_MS, (elapsed_ms) => {
    const moment = toMoment(elapsed_ms);
    context.drawImage(still, 0, 0);
    if (moment)
      paintShapes(
        context,
        moveShapes([...toSignal(plan, courses, moment), ...toCaptionOf(moment, plan)], left, top),
        palette,
      );
  });
  recorder.stop();
  await stopped;
  return new Blob(parts, { type: 'video/webm' });
}

/** Draw the caption of the leg over that of the still image. @param {import('./signalfront.js').Moment} moment @param {import('./picture.js').Plan} plan @returns {Shape[]} */
function toCaptionOf({ leg }, plan) {
  const { strips, inside, width, height } = plan.layout;
  const right = (inside?.top === 0 ? inside.left : width) - 1;
  return [
    toArea(
      toCorners(strips.left, strips.bottom + 24, right, inside?.top === 0 ? height : (inside?.top ?? height)),
      'card',
    ),
    ...toCaptionLines(plan, leg),
  ];
}

/** Draw in every animation frame until the end of the signal. @param {number} end_ms @param {(elapsed_ms: number) => void} draw @returns {Promise<void>} */
function eachFrame(end_ms, draw) {
  const begun = performance.now();
  return new Promise((resolve) => {
    const step = () => {
      const elapsed_ms = performance.now() - begun;
      if (elapsed_ms >= end_ms) return resolve();
      draw(elapsed_ms);
      requestAnimationFrame(step);
    };
    step();
  });
}
