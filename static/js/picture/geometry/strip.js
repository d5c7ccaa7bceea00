/** A strip: every stream a ribbon as wide as it is large, and lines where streams mix. No browser here. */

import { range, sayStatus } from '../../data/numbers.js';
import { xOf } from './layout.js';
import { lastKnown, logAt, weightsAt } from './reading.js';
import { widthAt } from './scale.js';
import { toArea, toLine, toText } from './shapes.js';

/** @typedef {import('./layout.js').Layout} Layout @typedef {import('./layout.js').Band} Band @typedef {import('./reading.js').Reading} Reading @typedef {import('./scale.js').Scale} Scale @typedef {import('./shapes.js').Shape} Shape */

const LINE_PX = 13; // between the beginnings of two sets of lines
const ONE_PX = 1.6; // the width of a weight of 1
const MOST_PX = 2.6;
const LEAST_WEIGHT = 0.03; // what is less could not be seen
const MAX_LINES = 6; // of one set: the largest weights

/** Ribbons of a run, with the lines under them. @param {Reading} reading @param {number} run @param {Layout} layout @param {Band} band @param {Scale} scale @returns {Shape[]} */
export function toStrip(reading, run, layout, band, scale) {
  const ends = [band.strip.left, xOf(layout, band, reading.layers)];
  const rails = band.lanes.map((y) => toLine([ends[0], y, ends[1], y], 'grid'));
  const ribbons = range(0, reading.streams - 1).flatMap((stream) =>
    toRibbon(reading, stream, layout, band, scale, 0, reading.layers),
  );
  return [
    ...rails,
    ...toMixing(reading, run, layout, band),
    ...ribbons.flatMap((points) => [toArea(points, 'card'), toArea(points, run, 0.86)]), // lines do not show through
    ...toLosses(reading, layout, band),
  ];
}

/**
 * The outline of a stream between two places, in as many pieces as are known: along its upper edge and back along the lower.
 * @param {Reading} reading @param {number} stream @param {Layout} layout @param {Band} band @param {Scale} scale
 * @param {number} from a place, or between two @param {number} to
 * @returns {number[][]}
 */
export function toRibbon(reading, stream, layout, band, scale, from, to) {
  /** @type {number[][]} */
  const pieces = [];
  /** @type {[number, number][]} */
  let piece = [];
  const close = () => {
    if (piece.length > 1) pieces.push(toOutline(piece, band.lanes[stream]));
    piece = [];
  };
  for (const place of placesBetween(from, to)) {
    const log10 = sizeAt(reading, 'sizes', place, stream);
    if (Number.isNaN(log10)) close();
    else piece.push([xOf(layout, band, place), widthAt(scale, log10) / 2]);
  }
  close();
  return pieces;
}

/** Both ends, and every whole place between. @param {number} from @param {number} to */
function placesBetween(from, to) {
  const inner = range(Math.floor(from) + 1, Math.ceil(to) - 1);
  return from === to ? [from] : [from, ...inner, to];
}

/** @param {[number, number][]} piece x and half the width @param {number} y */
function toOutline(piece, y) {
  const upper = piece.flatMap(([x, half]) => [x, y - half]);
  const lower = piece.toReversed().flatMap(([x, half]) => [x, y + half]);
  return [...upper, ...lower];
}

/** log10 at a place, or on the line between two. @param {Reading} reading @param {'sizes' | 'gradients'} what @param {number} place @param {number} stream */
export function sizeAt(reading, what, place, stream) {
  const below = Math.floor(place);
  const low = logAt(reading, what, below, stream);
  if (place === below) return low;
  return low + (place - below) * (logAt(reading, what, below + 1, stream) - low);
}

/** How many layers a set of lines stands for: as few as can be told apart. @param {Layout} layout @param {Band} band */
export function layersPerLine({ layers }, { strip }) {
  return Math.max(1, Math.ceil((LINE_PX * layers) / (strip.right - strip.left)));
}

/** All lines of a strip. @param {Reading} reading @param {number} run @param {Layout} layout @param {Band} band @returns {Shape[]} */
function toMixing(reading, run, layout, band) {
  const each = layersPerLine(layout, band);
  return range(0, Math.ceil(reading.layers / each) - 1).flatMap((set) =>
    toExchangeLines(reading, run, layout, band, set * each, Math.min((set + 1) * each, reading.layers)),
  );
}

/**
 * What streams pass to each other over the layers from..to - 1.
 * @param {Reading} reading @param {import('./shapes.js').Ink} color @param {Layout} layout @param {Band} band @param {number} from @param {number} to
 * @returns {Shape[]}
 */
export function toExchangeLines(reading, color, layout, band, from, to) {
  if (reading.streams === 1) return [];
  const xs = [xOf(layout, band, from), xOf(layout, band, to)];
  return toExchanges(reading, from, to).map(({ source, target, weight }) =>
    toLine([xs[0], band.lanes[source], xs[1], band.lanes[target]], color, {
      width: Math.min(MOST_PX, 0.5 + ONE_PX * Math.abs(weight)),
      opacity: Math.min(0.6, 0.12 + 0.48 * Math.abs(weight)),
      isDashed: weight < 0,
    }),
  );
}

/**
 * The weights between different streams over the layers from..to - 1, the largest of them.
 * @param {Reading} reading @param {number} from @param {number} to
 * @returns {{source: number, target: number, weight: number}[]}
 */
export function toExchanges(reading, from, to) {
  const product = multiplyLayers(reading, from, to);
  const n = reading.streams;
  return largestOf(product ?? [], (index) => index % n !== Math.floor(index / n)).map((index) => ({
    source: index % n,
    target: Math.floor(index / n),
    weight: /** @type {import('../../../types').Numbers} */ (product)[index],
  }));
}

/** Places of the largest weights, the largest first; of 16 streams there are 240, so that to sort them all would take long. @param {ArrayLike<number>} weights @param {(index: number) => boolean} isMeant */
function largestOf(weights, isMeant) {
  /** @type {number[]} */
  const found = [];
  const sizeOf = (/** @type {number} */ index) => Math.abs(weights[index]);
  for (let index = 0; index < weights.length; index++) {
    const least = found.length < MAX_LINES ? LEAST_WEIGHT : sizeOf(found[found.length - 1]);
    if (!(sizeOf(index) >= least) || !isMeant(index)) continue;
    const at = found.findIndex((other) => sizeOf(other) < sizeOf(index));
    found.splice(at < 0 ? found.length : at, 0, index);
    found.length = Math.min(found.length, MAX_LINES);
  }
  return found;
}

/** H_res of the last layer times … times that of the first, (n, n); null where one is not known. @param {Reading} reading @param {number} from @param {number} to */
function multiplyLayers({ mix, streams: n }, from, to) {
  let product = weightsAt(mix.mean, from);
  for (let layer = from + 1; layer < to && product; layer++) {
    const next = weightsAt(mix.mean, layer);
    product = next && multiplyTwo(next, product, n);
  }
  return product;
}

/** @param {import('../../../types').Numbers} left @param {import('../../../types').Numbers} right @param {number} n */
function multiplyTwo(left, right, n) {
  const found = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < n; k++) {
      for (let j = 0; j < n; j++) found[i * n + j] += left[i * n + k] * right[k * n + j];
    }
  }
  return found;
}

/** Where the sizes end for want of a number, and why. @param {Reading} reading @param {Layout} layout @param {Band} band @returns {Shape[]} */
function toLosses(reading, layout, band) {
  const lost = [...reading.status.keys()].filter((layer) =>
    range(0, reading.streams - 1).some((stream) => Number.isNaN(logAt(reading, 'sizes', layer + 1, stream))),
  );
  if (lost.length === 0) return [];
  const first = Math.min(...lost);
  const x = xOf(layout, band, first);
  const isRight = x < (band.strip.left + band.strip.right) / 2;
  const words = `${sayStatus(String(reading.status.get(first)))} from layer ${first + 1}${lastKnown(reading, 'sizes') > first ? ', not in all' : ' on'}`;
  return [
    toText(x + (isRight ? 6 : -6), band.lanes[0], isRight ? `✕ ${words}` : `${words} ✕`, 'ink', {
      anchor: isRight ? 'start' : 'end',
      hasHalo: true,
    }),
  ];
}
