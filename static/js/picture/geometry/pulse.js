/** A signal on its way: forward through the layers, then its gradient back. What it shows is what was measured there. No browser here. */

import { range } from '../../data/numbers.js';
import { toInside } from './inside.js';
import { xOf } from './layout.js';
import { lastKnown, logAt } from './reading.js';
import { formatLog, widthAt } from './scale.js';
import { toArea, toLine, toText, widthOf } from './shapes.js';
import { layersPerLine, sizeAt, toExchangeLines, toRibbon } from './strip.js';

/** @typedef {import('./picture.js').Plan} Plan @typedef {import('./reading.js').Reading} Reading @typedef {import('./shapes.js').Shape} Shape */
/** A layer whose inside is seen magnified: the shares of all layers before it and with it. @typedef {{layer: number, from: number, to: number}} Lens */
/** Where a signal is: `share` of all layers is behind it; `inside` goes from 0 to 1 through a layer that is magnified. @typedef {{leg: 'forward' | 'backward', share: number, inside: number | null}} Moment */

export const LEG_MS = 4200; // through all layers
export const INSIDE_MS = 1600; // and through the one that is magnified
export const REST_MS = 500; // at the end, before the gradient comes back
const TAIL = 0.1; // of all layers
const FADES = 4; // pieces of a tail, each lighter than the one before
const FEW = 6; // streams whose numbers can stand beside each other
const LEAST_LANE_PX = 13; // for numbers beside each other
const SMALL = 12;
const HEAD_Y = 10;
const REACH_PX = 150;
const ENDS_PX = { left: 44, right: 26 }; // where the first and the last layer are named

/** @param {number} layer from 0 @param {number} layers @returns {Lens} */
export function toLens(layer, layers) {
  return { layer, from: layer / layers, to: (layer + 1) / layers };
}

/** How long a way takes in one direction. @param {Lens} lens */
export function legOf({ from, to }) {
  return LEG_MS * (1 - (to - from)) + INSIDE_MS;
}

/** @param {number} elapsed_ms @param {Lens} lens @returns {Moment | null} null when it is over */
export function toMoment(elapsed_ms, lens) {
  const leg_ms = legOf(lens);
  if (elapsed_ms < leg_ms + REST_MS) return { leg: 'forward', ...toPlace(elapsed_ms, lens) };
  const back_ms = elapsed_ms - leg_ms - REST_MS;
  if (back_ms >= leg_ms + REST_MS) return null;
  return { leg: 'backward', ...toPlace(Math.max(0, leg_ms - back_ms), lens) };
}

/** At one pace but for the magnified layer, of which more is to be seen. @param {number} elapsed_ms @param {Lens} lens */
function toPlace(elapsed_ms, { from, to }) {
  const within_ms = elapsed_ms - from * LEG_MS;
  if (within_ms < 0) return { share: elapsed_ms / LEG_MS, inside: null };
  const inside = within_ms / INSIDE_MS;
  if (inside <= 1) return { share: from + inside * (to - from), inside };
  return { share: Math.min(1, to + (within_ms - INSIDE_MS) / LEG_MS), inside: null };
}

/** What stands still where motion is not wanted: the signal at the end of the layers, its gradient at their beginning. @type {Moment[]} */
export const STILL = [
  { leg: 'forward', share: 1, inside: null },
  { leg: 'backward', share: 0, inside: null },
];

/** @param {Plan} plan @param {Moment} moment @param {number} layer that is magnified @returns {Shape[]} */
export function toPulse(plan, moment, layer) {
  const { leg, share, inside } = moment;
  const place = share * plan.layout.layers;
  if (plan.runs.length === 0) return [];
  if (inside !== null) return [...toInside(plan, layer, leg, inside), ...toInsideCaption(plan, leg, layer)];
  return [
    ...plan.runs.flatMap(({ reading }, run) => (reading ? toFront(plan, reading, run, leg, place) : [])),
    ...toCaption(plan, leg, place),
  ];
}

/** In whole pixels, lest letters blur. @param {number} from @param {number} to */
function toWindow(from, to) {
  const left = Math.floor(from);
  return { left, width: Math.ceil(to) - left };
}

/** From where to where a signal reaches: what goes before it and after it, and the words over it. @param {import('./layout.js').Layout} layout @param {Moment[]} moments */
export function windowOf(layout, moments) {
  const [band] = layout.bands;
  if (!band || layout.isNarrow || moments.length !== 1) return { left: 0, width: layout.width };
  if (moments[0].inside !== null) return toWindow(band.glass.left - 4, layout.width);
  const [start, end] = [
    Math.max(0, band.strip.left - REACH_PX / 4),
    Math.min(layout.width, band.strip.right + REACH_PX / 4),
  ];
  const width = Math.min(2 * REACH_PX, end - start);
  const x = xOf(layout, band, moments[0].share * layout.layers);
  return { left: Math.round(Math.min(Math.max(start, x - REACH_PX), end - width)), width };
}

/** The signal in one run, as far as its layers have come. @param {Plan} plan @param {Reading} reading @param {number} run @param {Moment['leg']} leg @param {number} place @returns {Shape[]} */
function toFront(plan, reading, run, leg, place) {
  const what = leg === 'forward' ? 'sizes' : 'gradients';
  const at = Math.min(place, lastKnown(reading, what));
  if (at < 0) return [];
  const band = plan.layout.bands[run];
  const each = layersPerLine(plan.layout, band);
  const from = Math.min(Math.floor(at / each) * each, reading.layers - 1);
  return [
    ...toTails(plan, reading, run, leg, at),
    ...toExchangeLines(reading, 'ink', plan.layout, band, from, Math.min(from + each, reading.layers)),
    ...range(0, reading.streams - 1).flatMap((stream) => toBead(plan, reading, run, leg, at, stream)),
  ];
}

/** The way that lies just behind it, lit. @param {Plan} plan @param {Reading} reading @param {number} run @param {Moment['leg']} leg @param {number} at @returns {Shape[]} */
function toTails({ layout, sizes }, reading, run, leg, at) {
  const length = TAIL * layout.layers;
  const [from, to] =
    leg === 'forward' ? [Math.max(0, at - length), at] : [at, Math.min(lastKnown(reading, 'sizes'), at + length)];
  if (from >= to) return [];
  return range(0, reading.streams - 1).flatMap((stream) =>
    range(1, FADES).flatMap((part) => {
      const [start, end] =
        leg === 'forward' ? [to - (part / FADES) * (to - from), to] : [from, from + (part / FADES) * (to - from)];
      const pieces = toRibbon(reading, stream, layout, layout.bands[run], sizes, start, end);
      return pieces.map((points) => toArea(points, 'ink', 0.2));
    }),
  );
}

/** A stream's part of it: a bead as large as what was measured, and the number. @param {Plan} plan @param {Reading} reading @param {number} run @param {Moment['leg']} leg @param {number} at @param {number} stream @returns {Shape[]} */
function toBead({ layout, sizes, gradients }, reading, run, leg, at, stream) {
  const what = leg === 'forward' ? 'sizes' : 'gradients';
  const scale = leg === 'forward' ? sizes : gradients;
  const log10 = sizeAt(reading, what, at, stream);
  if (Number.isNaN(log10)) return [];
  const band = layout.bands[run];
  const [x, y] = [xOf(layout, band, at), band.lanes[stream]];
  const radius = 2.5 + 0.42 * widthAt(scale, log10);
  /** @type {Shape} */
  const bead =
    leg === 'forward'
      ? { kind: 'dot', x, y, radius, color: 'ink', fill: 'card' }
      : { kind: 'dot', x, y, radius, color: 'card', fill: 'ink' };
  if (reading.streams > FEW || (reading.streams > 1 && layout.gap < LEAST_LANE_PX)) return [bead];
  const text = formatLog(logAt(reading, what, Math.round(at), stream)); // of a state that was measured, not between two
  const room = radius + 12 + widthOf(text, SMALL);
  const isLeft = leg === 'forward' ? x + room > band.strip.right : x - room > band.strip.left; // ahead of it
  return [bead, ...toChip(x + (isLeft ? -1 : 1) * (radius + 4), y, text, isLeft)];
}

/** A number on ground of its own. @param {number} x @param {number} y @param {string} text @param {boolean} isLeft of `x` @returns {Shape[]} */
function toChip(x, y, text, isLeft) {
  const width = widthOf(text, SMALL) + 8;
  const left = isLeft ? x - width : x;
  return [
    { kind: 'box', x: left, y: y - 8, width, height: 16, radius: 4, color: 'card', fill: 'card', opacity: 0.9 },
    toText(left + width / 2, y + 0.5, text, 'ink', { size: SMALL, isBold: true, anchor: 'middle' }),
  ];
}

/** @param {Moment['leg']} leg */
const nameOf = (leg) => (leg === 'forward' ? 'signal →' : '← gradient');

/** Over the magnified layer: on a phone, over all. @param {Plan} plan @param {Moment['leg']} leg @param {number} layer @returns {Shape[]} */
function toInsideCaption({ layout }, leg, layer) {
  const [{ strip, glass }] = layout.bands;
  const [from, to] = layout.isNarrow
    ? [strip.left + ENDS_PX.left, strip.right - ENDS_PX.right]
    : [glass.left, glass.right];
  const text = `${nameOf(leg)} inside layer ${layer + 1}`;
  return [...toGround(from, to), toText(from, HEAD_Y, text, 'ink', { size: SMALL, isBold: true })];
}

/** What hides the words over strips or glass. @param {number} from @param {number} to @returns {Shape[]} */
function toGround(from, to) {
  return [toArea([from, HEAD_Y - 8, to, HEAD_Y - 8, to, HEAD_Y + 8, from, HEAD_Y + 8], 'card')];
}

/** What it is, and where: over the strips, as near to it as there is room. @param {Plan} plan @param {Moment['leg']} leg @param {number} place @returns {Shape[]} */
function toCaption({ layout }, leg, place) {
  const [first, last] = [layout.bands[0], layout.bands[layout.bands.length - 1]];
  const x = xOf(layout, first, place);
  const after = Math.round(place);
  const text = `${nameOf(leg)} ${after === 0 ? 'before the layers' : `after layer ${after}`}`;
  const half = widthOf(text, SMALL) / 2 + 4;
  const { left, right } = first.strip;
  const middle = Math.min(Math.max(x, left + half + ENDS_PX.left), right - half - ENDS_PX.right);
  const chip = toChip(middle - half, HEAD_Y, text, false);
  if (!layout.isNarrow) return [toLine([x, first.top, x, last.bottom], 'ink', { opacity: 0.35 }), ...chip];
  const [from, to] = [left + ENDS_PX.left, right - ENDS_PX.right]; // no room beside the words on the cursor
  return [...toGround(from, to), ...chip];
}
