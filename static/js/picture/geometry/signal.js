/**
 * A signal on its way through the layers, then its gradient back. Drawn is what was measured, as far as the front has passed. Where a
 * ribbon outgrows the strips the view zooms out by factors of ten, and a ruler shows by how much. No browser here.
 */

import { formatFactor } from '../../data/gain.js';
import { formatFixed, range } from '../../data/numbers.js';
import { toGain, toLabel } from './captions.js';
import { xOf } from './layout.js';
import { lastKnown } from './reading.js';
import { toScale } from './scale.js';
import { toArea, toClip, toCorners, toLine, toText } from './shapes.js';
import { toMixingLines, toRibbons } from './strip.js';

/** @typedef {import('./picture.js').Plan} Plan @typedef {import('./reading.js').Reading} Reading @typedef {import('./shapes.js').Shape} Shape */
/** Where a signal is: `share` of all layers lies before the front, in the direction in which layers are counted. @typedef {{leg: 'forward' | 'backward', share: number}} Moment */
/** How far the view is zoomed out when the front is at each state, in factors of ten. @typedef {{unit_px: number, zooms: number[]}} Course */

const FORWARD_MS = 2700;
const TURN_MS = 300;
const BACKWARD_MS = 2300;
const REST_MS = 500;
/** All of it. */
export const SIGNAL_MS = FORWARD_MS + TURN_MS + BACKWARD_MS + REST_MS;
/** When the signal has passed all layers, and when its gradient is back: what is shown where motion is not wanted. */
export const ENDS_MS = { forward: FORWARD_MS, backward: FORWARD_MS + TURN_MS + BACKWARD_MS };
const ZOOM_SHARE = 0.05; // of all layers, on either side, over which a zoom is spread
const GRADIENT_PX = 12; // the width of the largest gradient at the last layer
const FADED = 0.72;

/** @param {number} elapsed_ms @returns {Moment | null} null when it is over */
export function toMoment(elapsed_ms) {
  if (elapsed_ms >= SIGNAL_MS) return null;
  if (elapsed_ms < FORWARD_MS + TURN_MS) return { leg: 'forward', share: Math.min(1, elapsed_ms / FORWARD_MS) };
  const back_ms = elapsed_ms - FORWARD_MS - TURN_MS;
  return { leg: 'backward', share: Math.max(0, 1 - back_ms / BACKWARD_MS) };
}

/** The courses of both legs; made once for a plan. @param {Plan} plan @returns {{forward: Course, backward: Course}} */
export function toCourses(plan) {
  const { layout, runs, scale } = plan;
  const readings = runs.flatMap(({ reading }) => reading ?? []);
  const states = range(0, layout.layers);
  const isLog = scale.kind === 'log';
  const sizes = states.map((place) => largestAt(readings, 'sizes', place));
  const gradients = states.map((place) => largestAt(readings, 'gradients', place));
  const first = gradients.findLast(Number.isFinite) ?? 0;
  const unit_px = GRADIENT_PX / 10 ** first;
  const height = layout.strips.bottom - layout.strips.top;
  const zoom = (/** @type {number[]} */ logs, /** @type {number} */ unit) =>
    isLog ? logs.map(() => 0) : toZooms(logs, unit, height);
  return {
    forward: { unit_px: layout.unit_px, zooms: zoom(sizes, layout.unit_px) },
    backward: { unit_px, zooms: zoom(gradients.toReversed(), unit_px).toReversed() },
  };
}

/** @param {Reading[]} readings @param {'sizes' | 'gradients'} what @param {number} place */
function largestAt(readings, what, place) {
  let most = -Infinity;
  for (const reading of readings) {
    for (let at = place * reading.streams; at < Math.min((place + 1) * reading.streams, reading[what].length); at++)
      if (reading[what][at] > most) most = reading[what][at];
  }
  return most;
}

/** Whole factors of ten, in the order in which states are passed. @param {number[]} logs @param {number} unit_px @param {number} height */
function toZooms(logs, unit_px, height) {
  let most = 0;
  return logs.map((log10) => {
    const wanted = Math.ceil(log10 + Math.log10(unit_px / height));
    if (wanted > most) most = wanted;
    return most;
  });
}

/** The zoom at a front, changing smoothly between whole factors of ten. @param {Course} course @param {number} share */
export function zoomAt({ zooms }, share) {
  const last = zooms.length - 1;
  const reach = Math.max(1, ZOOM_SHARE * last);
  const [from, to] = [share * last - reach, share * last + reach].map((place) => Math.min(last, Math.max(0, place)));
  const steps = 16;
  const sum = range(0, steps)
    .map((step) => zooms[Math.round(from + (step / steps) * (to - from))])
    .reduce((total, zoom) => total + zoom, 0);
  return sum / (steps + 1);
}

/**
 * What replaces strips and gains while a signal is on its way.
 * @param {Plan} plan @param {ReturnType<typeof toCourses>} courses @param {Moment} moment
 * @returns {Shape[]}
 */
export function toSignal(plan, courses, { leg, share }) {
  const { layout } = plan;
  const right = layout.inside?.top === 0 ? layout.inside.left : layout.width;
  const isForward = leg === 'forward';
  const front = share * layout.layers;
  const forward = toLeg(plan, 'sizes', courses.forward, isForward ? share : 1, {
    from: 0,
    to: isForward ? front : layout.layers,
  });
  const veil = toArea(toCorners(layout.strips.left, 0, layout.strips.right, layout.strips.bottom), 'card', FADED);
  const back = isForward
    ? []
    : [veil, ...toLeg(plan, 'gradients', courses.backward, share, { from: front, to: layout.layers })];
  const left = layout.form === 'narrow' ? 0 : layout.strips.left;
  return [
    toArea(toCorners(left, 0, right - 1, layout.strips.bottom), 'card'),
    toClip({ ...layout.strips, top: 0 }, [...toRails(plan), ...forward, ...back, ...toFront(plan, front)]),
    ...toRuler(plan, isForward ? courses.forward : courses.backward, leg, share),
    ...toTitle(plan, leg, front),
    ...plan.runs.flatMap((_, run) => toRunningGain(plan, run, leg, front)),
    ...(layout.form === 'narrow'
      ? plan.runs.flatMap((shown, run) => toLabel(shown, plan.names[run], run, layout))
      : []),
  ];
}

/** Lanes that nothing has passed yet. @param {Plan} plan @returns {Shape[]} */
function toRails({ layout: { bands, strips } }) {
  return bands.flatMap(({ lanes }) => lanes.map((y) => toLine([strips.left, y, strips.right, y], 'grid')));
}

/** Ribbons of one leg, in colours of the methods forward and in one colour backward. @param {Plan} plan @param {'sizes' | 'gradients'} what @param {Course} course @param {number} share @param {{from: number, to: number}} span @returns {Shape[]} */
function toLeg({ layout, runs, order, scale, exchanges }, what, course, share, span) {
  const zoomed =
    scale.kind === 'log' && what === 'sizes' ? scale : toScale(course.unit_px * 10 ** -zoomAt(course, share), false);
  return order.toReversed().flatMap((run) => {
    const { reading } = runs[run];
    if (!reading) return [];
    const band = layout.bands[run];
    const to = Math.min(span.to, lastKnown(reading, what));
    const isForward = what === 'sizes';
    const passed = isForward ? exchanges[run].filter((exchange) => exchange.to <= span.to) : [];
    const ribbons = toRibbons(reading, isForward ? run : 'ink', layout, band, zoomed, { what, from: span.from, to });
    return [...toMixingLines(passed, run, layout, band), ...ribbons];
  });
}

/** @param {Plan} plan @param {number} front @returns {Shape[]} */
function toFront({ layout }, front) {
  const x = xOf(layout, front);
  const line = [x, 0, x, layout.strips.bottom];
  return [toLine(line, 'ink', { width: 7, opacity: 0.12 }), toLine(line, 'ink', { width: 1.5, opacity: 0.9 })];
}

/** What is on its way, and where. @param {Plan} plan @param {'forward' | 'backward'} leg @param {number} front @returns {Shape[]} */
function toTitle({ layout }, leg, front) {
  const layer = Math.round(front);
  const where = layer === 0 ? 'before layer 1' : `after layer ${layer}`;
  const text = leg === 'forward' ? `Signal ${where}` : `Gradient ${where}`;
  const isForward = leg === 'forward';
  const x = isForward ? layout.strips.left + 64 : layout.strips.right - 64;
  return [toText(x, 16, text, 'ink', { size: 14, isBold: true, hasHalo: true, anchor: isForward ? 'start' : 'end' })];
}

const TICK = { least_px: 12, most_share: 0.92, x: 10, length: 8 };

/** Heights of powers of ten, at the end where the leg begins. @param {Plan} plan @param {Course} course @param {'forward' | 'backward'} leg @param {number} share @returns {Shape[]} */
function toRuler({ layout: { strips, form }, scale }, course, leg, share) {
  if (scale.kind === 'log' || form === 'narrow') return [];
  const unit_log10 = Math.log10(course.unit_px) - zoomAt(course, share);
  const height = strips.bottom - strips.top;
  const [low, high] = [
    Math.ceil(Math.log10(TICK.least_px) - unit_log10),
    Math.floor(Math.log10(TICK.most_share * height) - unit_log10),
  ];
  const isLeft = leg === 'forward';
  const x = isLeft ? strips.left + TICK.x : strips.right - TICK.x;
  const inward = isLeft ? 1 : -1;
  return [
    toLine([x, strips.top, x, strips.bottom], 'ink', { opacity: 0.7 }),
    ...range(low, high).flatMap((power) => {
      const y = strips.bottom - 10 ** (power + unit_log10);
      const text = toText(x + inward * (TICK.length + 4), y, sayPower(power), 'ink', {
        anchor: isLeft ? 'start' : 'end',
        hasHalo: true,
      });
      return [toLine([x, y, x + inward * TICK.length, y], 'ink', { width: 1.5 }), text];
    }),
  ];
}

const RAISED = '⁰¹²³⁴⁵⁶⁷⁸⁹';

/** @param {number} power */
function sayPower(power) {
  if (power >= 0 && power <= 4) return (10 ** power).toLocaleString('en-US');
  if (power < 0 && power >= -2) return formatFixed(10 ** power, -power);
  return `10${String(power).replace(/./g, (sign) => (sign === '-' ? '⁻' : RAISED[Number(sign)]))}`;
}

/** The gain up to the front; on the way back also that of the gradient. @param {Plan} plan @param {number} run @param {'forward' | 'backward'} leg @param {number} front @returns {Shape[]} */
function toRunningGain({ runs, layout }, run, leg, front) {
  const { gain, course, reading } = runs[run];
  if (!course || gain === null || reading?.streams === 1) return toGain(gain, [], run, layout);
  const end = course.forward.length;
  const forward = leg === 'forward' && front < end ? largestOf(course.forward.slice(0, Math.ceil(front))) : null;
  const back =
    leg === 'backward' ? [`gradient ×${formatFactor(largestOf(course.backward.slice(Math.floor(front))))}`] : [];
  return toGain(forward === null ? gain : formatFactor(forward), back, run, layout);
}

/** log10; before any layer nothing has been mixed. @param {ArrayLike<number>} logs */
function largestOf(logs) {
  const known = Array.from(logs).filter((log10) => !Number.isNaN(log10));
  return known.length > 0 ? Math.max(...known) : 0;
}
