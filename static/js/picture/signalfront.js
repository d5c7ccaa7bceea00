/**
 * Animates a signal through the layers, then its gradient back. Ribbons show measured values up to the front: the size of the signal, and
 * the gradient relative to its value after the last layer, so that every run starts at 1 in both directions. If a ribbon outgrows the
 * strips, all runs are scaled down by factors of ten, and a ruler shows the scale. No browser here.
 */

import { formatFactor } from '../data/gain.js';
import { formatFixed, inclusiveRange, toSuperscript } from '../data/numbers.js';
import { widthOf } from '../data/textwidth.js';
import { toGain, toLabel } from './captions.js';
import { xOf } from './layout.js';
import { lastKnown } from './reading.js';
import { toScale } from './scale.js';
import { toArea, toClip, toCorners, toLine, toText } from './shapes.js';
import { toMixingLines, toRibbons } from './strip.js';

/** @typedef {import('./picture.js').Plan} Plan @typedef {import('./reading.js').Reading} Reading @typedef {import('./shapes.js').Shape} Shape */
/** Position of a signal: `share` of the layers before the front, in the order of layers. @typedef {{leg: 'forward' | 'backward', share: number}} Moment */
/** The reading of each run, and the zoom at each position of the front, as the power of ten by which the view is scaled down. @typedef {{readings: (Reading | null)[], zooms: number[]}} Course */

const FORWARD_MS = 2700;
const TURN_MS = 300;
const BACKWARD_MS = 2300;
const REST_MS = 500;
/** Total duration. */
export const SIGNAL_MS = FORWARD_MS + TURN_MS + BACKWARD_MS + REST_MS;
/** Times at which signal and gradient have passed all layers; shown with reduced motion. */
export const ENDS_MS = { forward: FORWARD_MS, backward: FORWARD_MS + TURN_MS + BACKWARD_MS };
const ZOOM_SHARE = 0.05; // share of the layers before and after the front over which zoom is smoothed

/** Return leg and position of the signal at a time of the animation. @param {number} elapsed_ms @returns {Moment | null} null after the end */
export function toMoment(elapsed_ms) {
  if (elapsed_ms >= SIGNAL_MS) return null;
  if (elapsed_ms < FORWARD_MS + TURN_MS) return { leg: 'forward', share: Math.min(1, elapsed_ms / FORWARD_MS) };
  const back_ms = elapsed_ms - FORWARD_MS - TURN_MS;
  return { leg: 'backward', share: Math.max(0, 1 - back_ms / BACKWARD_MS) };
}

/** Compute what both legs of the signal show, once per plan: sizes or gradients of each run, and the zoom at each layer. @param {Plan} plan @returns {{forward: Course, backward: Course}} */
export function toCourses(plan) {
  const { layout, runs, scale } = plan;
  const states = inclusiveRange(0, layout.layers);
  const height = layout.strips.bottom - layout.strips.top;
  const zoom = (/** @type {number[]} */ logs) =>
    scale.kind === 'log' ? logs.map(() => 0) : toZooms(logs, layout.unit_px, height);
  const sizes = runs.map(({ reading }) => reading);
  const gradients = sizes.map((reading) => reading && toRelative(reading));
  return {
    forward: { readings: sizes, zooms: zoom(states.map((position) => largestAt(sizes, 'sizes', position))) },
    backward: {
      readings: gradients,
      zooms: zoom(states.toReversed().map((position) => largestAt(gradients, 'gradients', position))).toReversed(),
    },
  };
}

/** Divide gradients by that after the last layer, the root mean square over streams. @param {Reading} reading @returns {Reading} */
function toRelative(reading) {
  const { streams, gradients } = reading;
  const last = lastKnown(reading, 'gradients');
  const logs = gradients.subarray(last * streams, (last + 1) * streams).filter((log10) => !Number.isNaN(log10));
  if (logs.length === 0) return reading;
  const most = Math.max(...logs);
  const square = logs.reduce((sum, log10) => sum + 10 ** (2 * (log10 - most)), 0) / logs.length;
  const first = most + Math.log10(square) / 2;
  return { ...reading, gradients: gradients.map((log10) => log10 - first) };
}

/** Return the largest size at a position of the animation, as log10. @param {(Reading | null)[]} readings @param {'sizes' | 'gradients'} quantity @param {number} position */
function largestAt(readings, quantity, position) {
  let most = -Infinity;
  for (const reading of readings) {
    if (!reading) continue;
    for (
      let at = position * reading.streams;
      at < Math.min((position + 1) * reading.streams, reading[quantity].length);
      at++
    )
      if (reading[quantity][at] > most) most = reading[quantity][at];
  }
  return most;
}

/** Compute zooms as whole powers of ten, in the order of the animation. @param {number[]} logs @param {number} unit_px @param {number} height */
function toZooms(logs, unit_px, height) {
  let most = 0;
  return logs.map((log10) => {
    const wanted = Math.ceil(log10 + Math.log10(unit_px / height));
    if (wanted > most) most = wanted;
    return most;
  });
}

/** Return the zoom at a front, smoothed between whole powers of ten. @param {Course} course @param {number} share */
export function zoomAt({ zooms }, share) {
  const last = zooms.length - 1;
  const reach = Math.max(1, ZOOM_SHARE * last);
  const [from, to] = [share * last - reach, share * last + reach].map((position) =>
    Math.min(last, Math.max(0, position)),
  );
  const steps = 16;
  const sum = inclusiveRange(0, steps)
    .map((step) => zooms[Math.round(from + (step / steps) * (to - from))])
    .reduce((total, zoom) => total + zoom, 0);
  return sum / (steps + 1);
}

/**
 * Draw the shapes that replace strips and gains during the animation.
 * @param {Plan} plan @param {ReturnType<typeof toCourses>} courses @param {Moment} moment
 * @returns {Shape[]}
 */
export function toSignal(plan, courses, { leg, share }) {
  const { layout } = plan;
  const right = layout.inside?.top === 0 ? layout.inside.left : layout.width;
  const isForward = leg === 'forward';
  const front = share * layout.layers;
  const span = isForward ? { from: 0, to: front } : { from: front, to: layout.layers };
  const left = layout.form === 'narrow' ? 0 : layout.strips.left;
  return [
    toArea(toCorners(left, 0, right - 1, layout.strips.bottom), 'card'),
    toClip({ ...layout.strips, top: 0 }, [
      ...toRails(plan),
      ...toLeg(plan, isForward ? 'sizes' : 'gradients', courses[leg], share, span),
      ...drawSignalFront(plan, front),
    ]),
    ...toRuler(plan, courses[leg], leg, share),
    ...toTitle(plan, leg, front),
    ...plan.runs.flatMap((_, run) => toRunningGain(plan, run, leg, front)),
    ...(layout.form === 'narrow'
      ? plan.runs.flatMap((shown, run) => toLabel(shown, plan.names[run], run, layout))
      : []),
  ];
}

/** Draw the lanes of all streams, along which the animated signal moves. @param {Plan} plan @returns {Shape[]} */
function toRails({ layout: { bands, strips } }) {
  return bands.flatMap(({ lanes }) => lanes.map((y) => toLine([strips.left, y, strips.right, y], 'grid')));
}

/** Draw the ribbons of a leg, in colours of the methods forward and in one colour backward, and the passed mixing. @param {Plan} plan @param {'sizes' | 'gradients'} quantity @param {Course} course @param {number} share @param {{from: number, to: number}} span @returns {Shape[]} */
function toLeg({ layout, order, scale, exchanges }, quantity, course, share, span) {
  const zoomed = scale.kind === 'log' ? scale : toScale(layout.unit_px * 10 ** -zoomAt(course, share), false);
  return order.toReversed().flatMap((run) => {
    const reading = course.readings[run];
    if (!reading) return [];
    const band = layout.bands[run];
    const to = Math.min(span.to, lastKnown(reading, quantity));
    const passed = exchanges[run].filter((exchange) => exchange.from >= span.from && exchange.to <= span.to);
    const color = quantity === 'sizes' ? run : 'ink';
    const ribbons = toRibbons(reading, color, layout, band, zoomed, { quantity, from: span.from, to });
    return [...toMixingLines(passed, run, layout, band), ...ribbons];
  });
}

/** Draw the line that the signal has reached, with a halo. @param {Plan} plan @param {number} front in layers @returns {Shape[]} */
function drawSignalFront({ layout }, front) {
  const x = xOf(layout, front);
  const line = [x, 0, x, layout.strips.bottom];
  return [toLine(line, 'ink', { width: 7, opacity: 0.12 }), toLine(line, 'ink', { width: 1.5, opacity: 0.9 })];
}

const WHERE = { size: 14, down: 12, ahead: 4, height: 20 };

/** Draw the title below the front: signal or gradient, and the layer. @param {Plan} plan @param {'forward' | 'backward'} leg @param {number} front @returns {Shape[]} */
function toTitle({ layout }, leg, front) {
  const { strips } = layout;
  const layer = Math.round(front);
  const text = `${leg === 'forward' ? 'Signal' : 'Gradient'} ${layer === 0 ? 'before layer 1' : `after layer ${layer}`}`;
  const half = widthOf(text, WHERE.size, true) / 2 + WHERE.ahead;
  const x = Math.min(strips.right - half, Math.max(strips.left + half, xOf(layout, front)));
  const y = strips.bottom + WHERE.down;
  return [
    toArea(toCorners(x - half, strips.bottom, x + half, strips.bottom + WHERE.height), 'card'), // over the layer numbers
    toText(x, y, text, 'ink', { size: WHERE.size, isBold: true, anchor: 'middle' }),
  ];
}

const TICK = { least_px: 12, most_share: 0.88, x: 10, length: 8 };

/** Draw the ruler at the end where the signal starts: a title and ticks at powers of ten. @param {Plan} plan @param {Course} course @param {'forward' | 'backward'} leg @param {number} share @returns {Shape[]} */
function toRuler({ layout: { strips, form, unit_px, layers }, scale }, course, leg, share) {
  if (form === 'narrow') return [];
  const isLeft = leg === 'forward';
  const [x, inward] = isLeft ? [strips.left + TICK.x, 1] : [strips.right - TICK.x, -1];
  const look = { anchor: /** @type {'start' | 'end'} */ (isLeft ? 'start' : 'end'), hasHalo: true };
  const words = isLeft ? 'Size of the signal' : `Gradient relative to layer ${layers}`;
  const title = toText(x + inward * (TICK.length + 4), 12, words, 'ink', { ...look, isBold: true });
  if (scale.kind === 'log') return [title];
  const unit_log10 = Math.log10(unit_px) - zoomAt(course, share);
  const height = strips.bottom - strips.top;
  const [low, high] = [
    Math.ceil(Math.log10(TICK.least_px) - unit_log10),
    Math.floor(Math.log10(TICK.most_share * height) - unit_log10),
  ];
  return [
    toLine([x, strips.top - 8, x, strips.bottom], 'ink', { opacity: 0.7 }),
    title,
    ...inclusiveRange(low, high).flatMap((power) => {
      const y = strips.bottom - 10 ** (power + unit_log10);
      return [
        toLine([x, y, x + inward * TICK.length, y], 'ink', { width: 1.5 }),
        toText(x + inward * (TICK.length + 4), y, formatRulerPower(power), 'ink', look),
      ];
    }),
  ];
}

/** Format the power of ten at a tick of the ruler. @param {number} power */
function formatRulerPower(power) {
  if (power >= 0 && power <= 4) return (10 ** power).toLocaleString('en-US');
  if (power < 0 && power >= -2) return formatFixed(10 ** power, -power);
  return `10${toSuperscript(power)}`;
}

/** Draw the gain up to the front, and during the backward leg also the backward gain. @param {Plan} plan @param {number} run @param {'forward' | 'backward'} leg @param {number} front @returns {Shape[]} */
function toRunningGain({ runs, layout }, run, leg, front) {
  const { gain, course, reading } = runs[run];
  if (!course || gain === null || reading?.streams === 1) return toGain(gain, [], run, layout);
  const end = course.forward.length;
  const forward = leg === 'forward' && front < end ? largestOf(course.forward.slice(0, Math.ceil(front))) : null;
  const back =
    leg === 'backward' && layout.form !== 'narrow'
      ? [`backward ×${formatFactor(largestOf(course.backward.slice(Math.floor(front))))}`]
      : [];
  return toGain(forward === null ? gain : formatFactor(forward), back, run, layout);
}

/** Return the largest log10; 0 before the first layer. @param {ArrayLike<number>} logs */
function largestOf(logs) {
  const known = Array.from(logs).filter((log10) => !Number.isNaN(log10));
  return known.length > 0 ? Math.max(...known) : 0;
}
