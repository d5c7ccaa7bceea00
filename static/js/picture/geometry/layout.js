/** Where runs, strips, streams and the magnified layer stand in a picture. No browser here. */

import { range } from '../../data/numbers.js';

/**
 * One run: its strip of layers, the heights of its streams, its magnified layer; in pixels.
 * @typedef {{top: number, bottom: number, label: {x: number, y: number, room: number}, strip: {left: number, right: number},
 *   lanes: number[], glass: {left: number, right: number, lanes: number[], branch: number}}} Band
 * @typedef {{width: number, height: number, isNarrow: boolean, layers: number, gap: number, bands: Band[]}} Layout `gap` between two streams, the least of all runs
 */

const NARROW_PX = 560;
const HEAD_PX = 24; // words over the strips
const FOOT_PX = { wide: 26, narrow: 42 }; // the key under them
const PAD_PX = 10;
const LABEL_PX = 10; // half the height of a label in one line
const BRANCH_PX = 34; // under the streams, for the branch of the magnified layer
const WIDE = { between: 22, lane: 27, room: 150, least: 88 };
/** Shares of the width, within pixels. */
const LABEL = { share: 0.155, least: 128, most: 168 };
const GLASS = { share: 0.3, least: 250, most: 360 };
const NARROW = { title: 20, lane: 15, room: 84, between: 18, inset: 10 };
const LEAST_LANE_PX = 6;

/** @param {number} width @param {number[]} streams of each run @param {number} layers of the deepest @returns {Layout} */
export function toLayout(width, streams, layers) {
  const isNarrow = width < NARROW_PX;
  /** @type {Band[]} */
  const bands = [];
  let top = HEAD_PX;
  for (const count of streams) {
    bands.push(isNarrow ? narrowBand(top, width, count) : wideBand(top, width, count));
    top = bands[bands.length - 1].bottom;
  }
  const gap = Math.min(...streams.map((count) => laneOf(count, isNarrow)));
  return { width, height: top + (isNarrow ? FOOT_PX.narrow : FOOT_PX.wide), isNarrow, layers, gap, bands };
}

/** Between two streams. @param {number} count @param {boolean} isNarrow */
function laneOf(count, isNarrow) {
  const { lane, room } = isNarrow ? NARROW : WIDE;
  return Math.max(LEAST_LANE_PX, Math.min(lane, room / count));
}

/** @param {number} first @param {number} count @param {number} lane */
function toLanes(first, count, lane) {
  return range(0, count - 1).map((stream) => first + (stream + 0.5) * lane);
}

/** The label at the left, the strip, and the magnified layer at the right with its streams at the same heights. @param {number} top @param {number} width @param {number} count @returns {Band} */
function wideBand(top, width, count) {
  const lane = laneOf(count, false);
  const height = Math.max(WIDE.least, 2 * PAD_PX + count * lane + BRANCH_PX);
  const lanes = toLanes(top + (height - count * lane - BRANCH_PX) / 2, count, lane);
  const [label, magnified] = [LABEL, GLASS].map(({ share, least, most }) =>
    Math.min(most, Math.max(least, share * width)),
  );
  const glass = { left: width - magnified, right: width, lanes, branch: lanes[count - 1] + lane / 2 + BRANCH_PX / 2 };
  const strip = { left: label, right: glass.left - WIDE.between };
  return { top, bottom: top + height, label: { x: 0, y: top + 22, room: label - 12 }, strip, lanes, glass };
}

/** All under each other. @param {number} top @param {number} width @param {number} count @returns {Band} */
function narrowBand(top, width, count) {
  const lane = laneOf(count, true);
  const first = top + NARROW.title;
  const lanes = toLanes(first, count, lane);
  const second = first + count * lane + (count > 1 ? NARROW.between : PAD_PX);
  const glassLanes = toLanes(second, count, lane);
  const branch = second + count * lane + BRANCH_PX / 2 - 2;
  const glass = { left: 0, right: width, lanes: glassLanes, branch };
  return {
    top,
    bottom: branch + BRANCH_PX / 2 + 4,
    label: { x: 0, y: top + NARROW.title / 2, room: width },
    strip: { left: NARROW.inset, right: width - NARROW.inset },
    lanes,
    glass,
  };
}

/** Where a state stands: 0 before the layers, l after so many. @param {Layout} layout @param {Band} band @param {number} place */
export function xOf({ layers }, { strip }, place) {
  return strip.left + (place / layers) * (strip.right - strip.left);
}

/** The run whose label is at a point; null elsewhere. @param {Layout} layout @param {number} x @param {number} y */
export function labelAt({ bands, isNarrow }, x, y) {
  const run = bands.findIndex(({ label, top, bottom }) => y >= top && y < (isNarrow ? label.y + LABEL_PX : bottom));
  return run >= 0 && x < bands[run].label.room * (isNarrow ? 0.5 : 1) ? run : null;
}

/** The layer under a point of the strips, from 0; null beside them. @param {Layout} layout @param {number} x @param {number} slack beside them that still counts */
export function layerAt({ bands, layers }, x, slack) {
  if (bands.length === 0) return null;
  const { left, right } = bands[0].strip;
  if (x < left - slack || x > right + slack) return null;
  return Math.min(layers - 1, Math.max(0, Math.floor(((x - left) / (right - left)) * layers)));
}
