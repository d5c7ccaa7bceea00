/** Draws strips: a ribbon for each stream, as wide as its size, and lines for the mixing. No browser here. */

import { inclusiveRange, statusText } from '../data/numbers.js';
import { widthOf } from '../data/textwidth.js';
import { multiplyAt } from '../figures/composites.js';
import { xOf } from './layout.js';
import { lastKnown, logAt, weightsAt } from './reading.js';
import { widthAt } from './scale.js';
import { toArea, toLine, toText } from './shapes.js';

/** @typedef {import('./layout.js').Layout} Layout @typedef {import('./layout.js').Band} Band @typedef {import('./reading.js').Reading} Reading @typedef {import('./scale.js').Scale} Scale @typedef {import('./shapes.js').Shape} Shape @typedef {import('./shapes.js').Stop} Stop */
/** A weight between two streams over layers from..to - 1. @typedef {{source: number, target: number, weight: number, from: number, to: number}} Exchange */

const LINE_PX = 16; // smallest distance between two sets of lines
const ONE_PX = 0.6; // width that a weight of 1 adds to its line
const MOST_PX = 1.2;
const LEAST_WEIGHT = 0.03; // smaller weights would be invisible
const MAX_LINES = 6; // per set, for the largest weights
/** Glow along the edges of a ribbon that is wider than its lane, outside the ribbon: filling areas takes most of a frame. */
const GLOW = { px: 5, opacity: 0.14 };
/** Edge around a ribbon within its lane, to separate it from wide ribbons. */
const EDGE = { px: 1.5, opacity: 0.55 };
const SOLID = 0.95;
const FLOODED = 0.7;
const HOT_DECADES = 3; // beyond the width of the lane, for the hottest colour
const MAX_STOPS = 40;
/** Fading of extremely wide ribbons: starts at a multiple of the card's height, lasts for some decades, and stays partly visible. */
export const FADES = { heights: 10, decades: 3, most: 0.8 };

/**
 * Draw the ribbons of a run between two positions.
 * @param {Reading} reading @param {import('./shapes.js').Ink} color @param {Layout} layout @param {Band} band @param {Scale} scale
 * @param {{quantity?: 'sizes' | 'gradients', from?: number, to?: number}} [span]
 * @returns {Shape[]}
 */
export function toRibbons(reading, color, layout, band, scale, span = {}) {
  const { quantity = 'sizes', from = 0, to = reading.layers } = span;
  const [first, last] = [from, Math.min(to, reading.layers, layout.layers)];
  if (first >= last) return [];
  const lane_px = laneOf(band);
  const most = excessOf(reading, quantity, scale, lane_px, first, last);
  const edge = most > 0 ? [] : [EDGE];
  const opacity = SOLID - (SOLID - FLOODED) * Math.min(1, Math.max(0, most));
  return inclusiveRange(0, reading.streams - 1).flatMap((stream) =>
    toKnownPieces(reading, quantity, stream, layout, scale, first, last).flatMap((piece) => {
      const heats = most > 0 ? toColorStops(piece, lane_px, heightOf(layout)) : undefined;
      const glow = most > 0 ? [-1, 1] : [];
      return [
        ...edge.map(({ px, opacity }) => toArea(toOutline(piece, band.lanes[stream], px), 'card', opacity)),
        ...glow.map((side) => toArea(toRim(piece, band.lanes[stream], side, GLOW.px), color, GLOW.opacity)),
        toArea(toOutline(piece, band.lanes[stream]), color, opacity, heats),
      ];
    }),
  );
}

/** Return the height of the area of all runs. @param {Layout} layout */
const heightOf = ({ strips }) => strips.bottom - strips.top;

/** Return whether the ribbon of a size fades. @param {number} log10 @param {Scale} scale @param {Layout} layout */
export function isFaded(log10, scale, layout) {
  return scale.kind === 'linear' && log10 + Math.log10(scale.unit_px / heightOf(layout)) > Math.log10(FADES.heights);
}

/** Return the height in px that a strip has for each stream. @param {Band} band */
function laneOf({ lanes, top, bottom }) {
  return lanes.length > 1 ? lanes[1] - lanes[0] : (bottom - top) / 2;
}

/** Compute how many decades the widest ribbon exceeds its lane. @param {Reading} reading @param {'sizes' | 'gradients'} quantity @param {Scale} scale @param {number} lane_px @param {number} from @param {number} to */
function excessOf(reading, quantity, scale, lane_px, from, to) {
  if (scale.kind === 'log') return 0;
  let most = -Infinity;
  for (let at = Math.floor(from) * reading.streams; at < (Math.ceil(to) + 1) * reading.streams; at++)
    if (reading[quantity][at] > most) most = reading[quantity][at];
  return most + Math.log10(scale.unit_px / lane_px);
}

/** A known piece of a ribbon: x positions, half the drawn width at each, and log10 of the exact width. @typedef {{xs: number[], halves: number[], logs: number[]}} Piece */

/** Split the ribbon of a stream between two positions where values are missing; pieces of a single point are dropped. @param {Reading} reading @param {'sizes' | 'gradients'} quantity @param {number} stream @param {Layout} layout @param {Scale} scale @param {number} from @param {number} to @returns {Piece[]} */
function toKnownPieces(reading, quantity, stream, layout, scale, from, to) {
  /** @type {Piece[]} */
  const pieces = [{ xs: [], halves: [], logs: [] }];
  const unit_log10 = scale.kind === 'linear' ? Math.log10(scale.unit_px) : 0;
  for (let position = from; ; position = Math.min(to, Math.floor(position) + 1)) {
    const log10 = sizeAt(reading, quantity, position, stream);
    const piece = pieces[pieces.length - 1];
    if (Number.isNaN(log10)) pieces.push({ xs: [], halves: [], logs: [] });
    else {
      piece.xs.push(xOf(layout, position));
      piece.halves.push(widthAt(scale, log10) / 2);
      piece.logs.push(log10 + unit_log10);
    }
    if (position === to) break;
  }
  return pieces.filter(({ xs }) => xs.length > 1);
}

/** Build the outline of a ribbon: along the upper edge, and back along the lower. @param {Piece} piece @param {number} y @param {number} [more] extra px on each side, default 0 */
function toOutline({ xs, halves }, y, more = 0) {
  const count = xs.length;
  const points = new Array(4 * count);
  for (let index = 0; index < count; index++) {
    const half = halves[index] + more;
    const back = 4 * count - 2 - 2 * index;
    points[2 * index] = points[back] = xs[index];
    points[2 * index + 1] = y - half;
    points[back + 1] = y + half;
  }
  return points;
}

/** Build the outline of a rim around a ribbon of the picture: along the ribbon's edge, and back outside it. @param {Piece} piece @param {number} y @param {number} side -1 above, 1 below @param {number} reach in px */
function toRim({ xs, halves }, y, side, reach) {
  const count = xs.length;
  const points = new Array(4 * count);
  for (let index = 0; index < count; index++) {
    const back = 4 * count - 2 - 2 * index;
    points[2 * index] = points[back] = xs[index];
    points[2 * index + 1] = y + side * halves[index];
    points[back + 1] = y + side * (halves[index] + reach);
  }
  return points;
}

/** Return stops of a ribbon's colour: the wider the ribbon is than its lane, the hotter, and far beyond the card it fades. @param {Piece} piece @param {number} lane_px @param {number} height_px @returns {Stop[]} */
function toColorStops({ xs, logs }, lane_px, height_px) {
  const last = xs.length - 1;
  const step = Math.max(1, Math.ceil(xs.length / MAX_STOPS));
  /** @type {Stop[]} */
  const stops = [];
  for (let index = 0; index <= last; index = index === last ? last + 1 : Math.min(last, index + step)) {
    const heat = (logs[index] - Math.log10(lane_px)) / HOT_DECADES;
    const fade = (logs[index] - Math.log10(FADES.heights * height_px)) / FADES.decades;
    const at = (xs[index] - xs[0]) / (xs[last] - xs[0]);
    stops.push({ at, heat: clamp(heat, 1), fade: clamp(fade, FADES.most) });
  }
  return stops;
}

/** Clamp a number to 0..most. @param {number} value @param {number} most */
const clamp = (value, most) => Math.min(most, Math.max(0, value));

/** Return log10 of a stream's size or gradient at a position, interpolated linearly between layers. @param {Reading} reading @param {'sizes' | 'gradients'} quantity @param {number} position @param {number} stream */
export function sizeAt(reading, quantity, position, stream) {
  const below = Math.floor(position);
  const low = logAt(reading, quantity, below, stream);
  if (position === below) return low;
  return low + (position - below) * (logAt(reading, quantity, below + 1, stream) - low);
}

/** Return how many layers one set of mixing lines in a strip stands for: as few as can be distinguished. @param {Layout} layout */
export function layersPerLine({ layers, strips }) {
  return Math.max(1, Math.ceil((LINE_PX * layers) / (strips.right - strips.left)));
}

/** List the weights between streams that a strip shows, up to a position. @param {Reading} reading @param {Layout} layout @param {number} [to] @returns {Exchange[]} */
export function listExchanges(reading, layout, to = reading.layers) {
  if (reading.streams === 1) return [];
  const each = layersPerLine(layout);
  const end = Math.min(to, reading.layers, layout.layers);
  return inclusiveRange(0, Math.ceil(end / each) - 1).flatMap((set) =>
    toExchanges(reading, set * each, Math.min((set + 1) * each, end)),
  );
}

/** Draw the mixing lines of a strip. @param {Exchange[]} exchanges @param {import('./shapes.js').Ink} color @param {Layout} layout @param {Band} band @returns {Shape[]} */
export function toMixingLines(exchanges, color, layout, band) {
  return exchanges.map((exchange) =>
    toLine(pointsOf(exchange, layout, band), color, {
      width: Math.min(MOST_PX, 0.5 + ONE_PX * Math.abs(exchange.weight)),
      opacity: Math.min(0.8, 0.4 + 0.6 * Math.abs(exchange.weight)),
      isDashed: exchange.weight < 0,
      isCurve: true,
    }),
  );
}

/** Edge of a line that crosses a ribbon of its own colour, which is wider than its lane. */
const LINE_EDGE = { px: 1.4, opacity: 0.55 };

/** Draw edges of mixing lines, in the colour of the card, where a ribbon is wider than its lane. @param {Exchange[]} exchanges @param {Shape[]} lines one for each @param {Reading} reading @param {Band} band @param {Scale} scale @returns {Shape[]} */
export function toLineEdges(exchanges, lines, reading, band, scale) {
  const lane_px = laneOf(band);
  const isWide = (/** @type {Exchange} */ { from }) =>
    inclusiveRange(0, reading.streams - 1).some(
      (stream) => widthAt(scale, sizeAt(reading, 'sizes', from, stream)) > lane_px,
    );
  return lines.flatMap((line, index) => {
    if (line.kind !== 'line' || !isWide(exchanges[index])) return [];
    return [{ ...line, color: 'card', width: line.width + LINE_EDGE.px, opacity: LINE_EDGE.opacity, isDashed: false }];
  });
}

/** Build the curve of a mixing line from one stream to another. @param {Exchange} exchange @param {Layout} layout @param {Band} band */
function pointsOf({ source, target, from, to }, layout, { lanes }) {
  const [left, right] = [xOf(layout, from), xOf(layout, to)];
  const middle = (left + right) / 2;
  return [left, lanes[source], middle, lanes[source], middle, lanes[target], right, lanes[target]];
}

const REACH_PX = 4;

/** Find the weight whose line is nearest to a point; null if none is near. @param {Exchange[]} exchanges @param {Layout} layout @param {Band} band @param {number} x @param {number} y @returns {Exchange | null} */
export function exchangeAt(exchanges, layout, { lanes }, x, y) {
  let [found, least] = [/** @type {Exchange | null} */ (null), REACH_PX];
  for (const exchange of exchanges) {
    const [left, right] = [xOf(layout, exchange.from), xOf(layout, exchange.to)];
    if (x < left || x > right) continue;
    const t = (x - left) / (right - left); // x is nearly linear in the curve parameter
    const height =
      lanes[exchange.source] + (3 * t * t - 2 * t ** 3) * (lanes[exchange.target] - lanes[exchange.source]);
    const distance = Math.abs(y - height);
    if (distance < least) [found, least] = [exchange, distance];
  }
  return found;
}

/**
 * List the largest weights between different streams over layers from..to - 1.
 * @param {Reading} reading @param {number} from @param {number} to
 * @returns {Exchange[]}
 */
export function toExchanges(reading, from, to) {
  const product = multiplyLayers(reading, from, to);
  const n = reading.streams;
  return largestIndexes(product ?? [], (index) => index % n !== Math.floor(index / n)).map((index) => ({
    source: index % n,
    target: Math.floor(index / n),
    weight: /** @type {import('../../types').Numbers} */ (product)[index],
    from,
    to,
  }));
}

/** Find the indexes of the largest weights in descending order, without sorting all: 16 streams have 240. @param {ArrayLike<number>} weights @param {(index: number) => boolean} isIncluded */
function largestIndexes(weights, isIncluded) {
  /** @type {number[]} */
  const found = [];
  const sizeOf = (/** @type {number} */ index) => Math.abs(weights[index]);
  for (let index = 0; index < weights.length; index++) {
    const least = found.length < MAX_LINES ? LEAST_WEIGHT : sizeOf(found[found.length - 1]);
    if (!(sizeOf(index) >= least) || !isIncluded(index)) continue;
    const at = found.findIndex((other) => sizeOf(other) < sizeOf(index));
    found.splice(at < 0 ? found.length : at, 0, index);
    found.length = Math.min(found.length, MAX_LINES);
  }
  return found;
}

/** Multiply H_res of layers from..to - 1, (n, n); null if one is unknown. @param {Reading} reading @param {number} from @param {number} to */
function multiplyLayers({ mix, streams: n }, from, to) {
  let product = weightsAt(mix.mean, from);
  for (let layer = from + 1; layer < to && product; layer++) {
    const next = weightsAt(mix.mean, layer);
    product = next && multiplyAt(next, 0, product, n);
  }
  return product;
}

const LOSS_PX = 6; // from the end of known sizes to the note

/** Draw a note where known sizes end, with the reason, as far as it fits. @param {Reading} reading @param {Layout} layout @param {Band} band @returns {Shape[]} */
export function toLosses(reading, layout, band) {
  const lost = [...reading.status.keys()].filter((layer) =>
    inclusiveRange(0, reading.streams - 1).some((stream) => Number.isNaN(logAt(reading, 'sizes', layer + 1, stream))),
  );
  if (lost.length === 0) return [];
  const first = Math.min(...lost);
  if (first >= layout.layers) return [];
  const x = xOf(layout, first);
  const isRight = x < (layout.strips.left + layout.strips.right) / 2;
  const room = (isRight ? layout.strips.right - x : x - layout.strips.left) - LOSS_PX;
  const status = statusText(String(reading.status.get(first)));
  const where = `${status} from layer ${first + 1}`;
  const full = lastKnown(reading, 'sizes') > first ? `${where} (some streams)` : where;
  const words = [full, where].find((text) => widthOf(`✕ ${text}`, 12) <= room) ?? status;
  return [
    toText(x + (isRight ? LOSS_PX : -LOSS_PX), band.lanes[0] - 10, isRight ? `✕ ${words}` : `${words} ✕`, 'ink', {
      anchor: isRight ? 'start' : 'end',
      hasHalo: true,
    }),
  ];
}
