/** Computes the positions of names, strips, gains and the magnified layer. No browser here. */

import { inclusiveRange } from '../data/numbers.js';

/**
 * Position of a run: vertical positions of its streams, its name and its gain.
 * @typedef {{top: number, bottom: number, middle: number, lanes: number[], label: {x: number, y: number, room: number}, gain: {x: number, y: number, room: number}}} Band
 * @typedef {{left: number, right: number, top: number, bottom: number}} Frame
 * `unit_px` is the width of a ribbon of size 1. `inside` is the area of the magnified layer, null if it is closed.
 * @typedef {{width: number, height: number, form: 'wide' | 'medium' | 'narrow', layers: number, unit_px: number, strips: Frame, bands: Band[], inside: Frame | null}} Layout
 */

const WIDE_PX = 900;
const NARROW_PX = 560;
/** Distances in px per form: `lane` between two streams, `block` largest height of a run's streams, `pad` around them, `room` smallest and `most` largest height of all runs. */
const FORMS = {
  wide: {
    edge: 24,
    label: 171,
    gains: 168,
    inside: 263,
    top: 14,
    lane: 26,
    block: 96,
    pad: 72,
    least: 72,
    room: 372,
    most: 372,
    unit: 1.7,
  },
  medium: {
    edge: 16,
    label: 140,
    gains: 144,
    inside: 0,
    top: 10,
    lane: 22,
    block: 80,
    pad: 60,
    least: 64,
    room: 180,
    most: 340,
    unit: 1.4,
  },
  narrow: {
    edge: 12,
    label: 12,
    gains: 90,
    inside: 0,
    top: 4,
    lane: 15,
    block: 52,
    pad: 46,
    least: 50,
    room: 150,
    most: 300,
    unit: 0.8,
  },
};
const AXIS_PX = 22; // layer numbers below the strips
const FOOT_PX = 44; // buttons and caption below them
/** Height of the magnified layer below the strips; one stream has no mixing matrix, and no product of them. */
const INSIDE_PX = { wide: 0, medium: 330, narrow: 460 };
const INSIDE_ALONE_PX = { wide: 0, medium: 180, narrow: 240 };
const NAME_PX = 18; // a name above its strip
const LEAST_GAP_PX = 3;

/**
 * Compute the layout of the picture: strips, labels and the magnified layer.
 * @param {number} width @param {number[]} streams of each run @param {number} layers of the deepest run
 * @param {{order?: number[], isOpen?: boolean}} [choice] runs from top to bottom, default as listed; whether the magnified layer is open below the strips, default false
 * @returns {Layout}
 */
export function toLayout(width, streams, layers, { order = streams.map((_, run) => run), isOpen = false } = {}) {
  const form = width >= WIDE_PX ? 'wide' : width >= NARROW_PX ? 'medium' : 'narrow';
  const sizes = FORMS[form];
  const right = width - sizes.inside - sizes.gains;
  const { bands, bottom } = toBands(streams, order, form, { left: sizes.label, right });
  const strips = { left: sizes.label, right, top: sizes.top, bottom };
  const end = bottom + AXIS_PX + FOOT_PX;
  const insideHeight = (streams.every((count) => count === 1) ? INSIDE_ALONE_PX : INSIDE_PX)[form];
  const inside =
    form === 'wide'
      ? { left: width - sizes.inside, right: width, top: 0, bottom: end }
      : isOpen
        ? { left: 0, right: width, top: end, bottom: end + insideHeight }
        : null;
  return { width, height: inside?.bottom ?? end, form, layers, unit_px: sizes.unit, strips, bands, inside };
}

/** Compute the vertical positions of runs and of their streams. @param {number[]} streams @param {number[]} order @param {Layout['form']} form @param {{left: number, right: number}} strips */
function toBands(streams, order, form, strips) {
  const { top, lane, block, pad, least, room, most, gains, edge } = FORMS[form];
  const needed = streams.map((count) => Math.max(least, gapOf(count, lane, block) * (count - 1) + pad));
  const sum = needed.reduce((total, height) => total + height, 0);
  const more = Math.max(0, room - sum) / Math.max(1, streams.length);
  const heights = needed.map((height) => height + more);
  const total = sum + more * streams.length;
  const shrink = Math.min(1, most / total);
  /** @type {Band[]} */
  const bands = [];
  let at = top;
  for (const run of order) {
    const height = shrink * heights[run];
    const gap = shrink * gapOf(streams[run], lane, block);
    const middle = at + height / 2 + (form === 'narrow' ? NAME_PX / 2 : 0);
    const lanes = inclusiveRange(0, streams[run] - 1).map((stream) => middle + (stream - (streams[run] - 1) / 2) * gap);
    const label =
      form === 'narrow'
        ? { x: edge, y: at + NAME_PX / 2 + 2, room: strips.right - edge }
        : { x: edge, y: middle - 12, room: strips.left - edge - 10 };
    const gain = {
      x: strips.right + (form === 'narrow' ? 8 : 20),
      y: middle - 8,
      room: gains - (form === 'narrow' ? 18 : 44),
    };
    bands[run] = { top: at, bottom: at + height, middle, lanes, label, gain };
    at += height;
  }
  return { bands, bottom: at };
}

/** Compute the distance between two streams of a run in the picture, in px. @param {number} count @param {number} lane @param {number} block */
function gapOf(count, lane, block) {
  return Math.max(LEAST_GAP_PX, Math.min(lane, block / Math.max(1, count - 1)));
}

/** Return the x position of a state: 0 before the layers, l after l layers. @param {Layout} layout @param {number} position */
export function xOf({ layers, strips }, position) {
  return strips.left + (position / layers) * (strips.right - strips.left);
}

/** Return the run whose name or gain is at a point of the picture, or null. @param {Layout} layout @param {number} x @param {number} y */
export function labelAt({ bands, strips, form, inside }, x, y) {
  if (form === 'narrow' || (inside && inside.top === 0 && x > inside.left)) return null;
  if (x > strips.left - 6 && x < strips.right) return null;
  const run = bands.findIndex(({ top, bottom }) => y >= top && y < bottom);
  return run < 0 ? null : run;
}

/** Return the layer at a point of the picture's ribbons, from 0; null outside. @param {Layout} layout @param {number} x @param {number} slack tolerance left and right of the strips, in px */
export function layerAt({ strips: { left, right }, layers, bands }, x, slack) {
  if (bands.length === 0 || x < left - slack || x > right + slack) return null;
  return Math.min(layers - 1, Math.max(0, Math.floor(((x - left) / (right - left)) * layers)));
}
