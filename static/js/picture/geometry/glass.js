/** One layer magnified: what its branch reads of every stream, how streams mix, where the branch writes. No browser here. */

import { range } from '../../data/numbers.js';
import { logAt, weightsAt } from './reading.js';
import { formatLog, widthAt } from './scale.js';
import { toLine, toText, widthOf } from './shapes.js';

/** @typedef {import('./layout.js').Band} Band @typedef {import('./reading.js').Reading} Reading @typedef {import('./reading.js').Weights} Weights @typedef {import('./scale.js').Scale} Scale @typedef {import('./shapes.js').Shape} Shape */
/** One weight of a layer, between two points of the picture. @typedef {{weight: number, spread: number, points: number[]}} Link */

const NUMBER_PX = 46; // at either side, for a size
const ONE_PX = 4.5; // the width of a weight of 1, at most
const LANE_SHARE = 0.24; // and of the room between two streams
const MOST = 1.8; // times that, for larger weights
const LEAST_WEIGHT = 0.004;
const BOX_PX = 22;
const SMALL = 12;
const FEW = 6; // streams whose numbers can stand beside each other

/** @param {Reading} reading @param {number} run @param {Band} band @param {Scale} scale @param {number} layer from 0 @returns {Shape[]} */
export function toGlass(reading, run, band, scale, layer) {
  if (layer >= reading.layers) return [];
  const frame = toFrame(reading, band, layer);
  const unit = unitOf(band);
  const { mix, read, write } = toLinks(reading, band, layer);
  return [
    ...mix.flatMap((link) => toLinkShapes(link, run, unit)),
    ...[...read, ...write].flatMap((link) => toLinkShapes(link, 'muted', unit)),
    ...toEnds(reading, run, band, scale, layer, frame),
    ...toBranch(reading, layer, frame),
  ];
}

/** The ways through a layer: across it, into its branch and out of it. @param {Reading} reading @param {Band} band @param {number} layer */
export function toLinks(reading, band, layer) {
  const frame = toFrame(reading, band, layer);
  return {
    mix: linksOf(reading.mix, layer, (to, from) => frame.across(from, to)),
    read: linksOf(reading.read, layer, frame.inward),
    write: linksOf(reading.write, layer, (_, to) => frame.outward(to)),
    branch: boxOf(frame),
  };
}

/** Points between which weights run. @param {Reading} reading @param {Band} band @param {number} layer */
function toFrame({ blocks, read, streams }, { glass }, layer) {
  const name = (blocks[layer] ?? 'branch').replaceAll('_', ' ');
  const [left, right] = [glass.left + NUMBER_PX, glass.right - NUMBER_PX];
  const half = widthOf(name, 12) / 2 + 9;
  const middle = (left + right) / 2;
  const isApart = read.mean?.shape.length === 3; // the branch reads every part by itself
  const portOf = (/** @type {number} */ part) =>
    glass.branch + (isApart ? ((part + 0.5) / streams - 0.5) * (BOX_PX - 6) : 0);
  return {
    name,
    left,
    right,
    half,
    middle,
    top: glass.lanes[0],
    y: glass.branch,
    across: (/** @type {number} */ from, /** @type {number} */ to) =>
      toCurve(left, glass.lanes[from], right, glass.lanes[to]),
    inward: (/** @type {number} */ part, /** @type {number} */ from) =>
      toCurve(left, glass.lanes[from], middle - half, portOf(part)),
    outward: (/** @type {number} */ to) => toCurve(middle + half, portOf(to), right, glass.lanes[to]),
  };
}

/** The branch. @param {ReturnType<typeof toFrame>} frame @returns {import('./shapes.js').Box} */
function boxOf({ half, middle, y }) {
  const [x, top] = [middle - half, y - BOX_PX / 2];
  return {
    kind: 'box',
    x,
    y: top,
    width: 2 * half,
    height: BOX_PX,
    radius: 5,
    color: 'ink',
    fill: 'card',
    opacity: 1,
  };
}

/** A curve that leaves and arrives level. @param {number} x0 @param {number} y0 @param {number} x1 @param {number} y1 */
function toCurve(x0, y0, x1, y1) {
  const bend = 0.5 * (x1 - x0);
  return [x0, y0, x0 + bend, y0, x1 - bend, y1, x1, y1];
}

/** The weights of a layer that can be seen; a vector counts as a matrix of one row. @param {Weights} weights @param {number} layer @param {(row: number, column: number) => number[]} place @returns {Link[]} */
export function linksOf({ mean, spread }, layer, place) {
  const [values, spreads] = [weightsAt(mean, layer), weightsAt(spread, layer)];
  if (!mean || !values) return [];
  const columns = mean.shape[mean.shape.length - 1];
  return Array.from(values, (weight, index) => ({
    weight,
    spread: spreads?.[index] ?? 0,
    points: place(Math.floor(index / columns), index % columns),
  })).filter((link) => Math.abs(link.weight) + link.spread >= LEAST_WEIGHT);
}

/** The width of a weight of 1: many streams lie so near to each other that thick lines would hide all else. @param {Band} band */
function unitOf({ glass: { lanes } }) {
  return lanes.length > 1 ? Math.min(ONE_PX, LANE_SHARE * (lanes[1] - lanes[0])) : ONE_PX;
}

/** A line as thick as the weight; what tokens differ by lies around it, lighter. @param {Link} link @param {import('./shapes.js').Ink} color @param {number} unit the width of a weight of 1 @returns {Shape[]} */
function toLinkShapes({ weight, spread, points }, color, unit) {
  const thick = (/** @type {number} */ value) => Math.min(MOST * unit, 0.6 + unit * value);
  const line = toLine(points, color, {
    width: thick(Math.abs(weight)),
    opacity: Math.min(0.8, 0.25 + Math.abs(weight) + spread),
    isDashed: weight < 0,
    isCurve: true,
  });
  if (spread === 0) return [line];
  return [{ ...line, width: thick(Math.abs(weight) + spread), opacity: 0.28, isDashed: false }, line];
}

/** Streams before and after the layer, with their sizes. @param {Reading} reading @param {number} run @param {Band} band @param {Scale} scale @param {number} layer @param {ReturnType<typeof toFrame>} frame @returns {Shape[]} */
function toEnds(reading, run, { glass }, scale, layer, { left, right }) {
  return range(0, reading.streams - 1).flatMap((stream) => [
    ...toEnd(logAt(reading, 'sizes', layer, stream), left, glass.lanes[stream], 'end'),
    ...toEnd(logAt(reading, 'sizes', layer + 1, stream), right, glass.lanes[stream], 'start'),
  ]);

  /** @param {number} log10 @param {number} x @param {number} y @param {'start' | 'end'} anchor @returns {Shape[]} */
  function toEnd(log10, x, y, anchor) {
    if (Number.isNaN(log10)) return [];
    const dot = /** @type {Shape} */ ({ kind: 'dot', x, y, radius: dotRadius(scale, log10), color: run, fill: run });
    if (reading.streams > FEW) return [dot];
    const beside = x + (anchor === 'end' ? -12 : 12);
    return [dot, toText(beside, y, formatLog(log10), anchor === 'end' ? 'muted' : 'ink', { anchor, size: 12 })];
  }
}

/** @param {Scale} scale @param {number} log10 */
function dotRadius(scale, log10) {
  return 2 + Math.max(0, widthAt(scale, log10)) / 3;
}

/** The branch by its name, and what its lines are. @param {Reading} reading @param {number} layer @param {ReturnType<typeof toFrame>} frame @returns {Shape[]} */
function toBranch({ mix, read, write, streams }, layer, frame) {
  const { name, left, right, middle, top, y } = frame;
  const [isKnown, isRead, isWritten] = [mix, read, write].map(({ mean }) => weightsAt(mean, layer) !== null);
  /** @type {[number, number, string]} */
  const unknown = [middle, streams === 1 ? top : y - BOX_PX, streams === 1 ? 'way past not known' : 'mixing not known'];
  return [
    boxOf(frame),
    toText(middle, y, name, 'ink', { anchor: 'middle' }),
    ...(streams > 1 && isKnown
      ? [toText(middle, top - 14, 'mixes', 'muted', { size: SMALL, anchor: 'middle', hasHalo: true })]
      : []),
    ...(isRead ? [toText(left - 4, y + 4, 'reads', 'muted', { size: SMALL })] : []),
    ...(isWritten ? [toText(right + 4, y + 4, 'writes', 'muted', { size: SMALL, anchor: 'end' })] : []),
    ...(isKnown ? [] : [toText(...unknown, 'muted', { anchor: 'middle', size: SMALL, hasHalo: true })]),
  ];
}
