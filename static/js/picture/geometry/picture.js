/** The whole picture in shapes: what stays until the data change, and what follows the cursor. No browser here. */

import { toCursorHead, toHead, toKey, toLabel } from './captions.js';
import { toGlass } from './glass.js';
import { toLayout, xOf } from './layout.js';
import { spanOf } from './reading.js';
import { toScale } from './scale.js';
import { toArea, toLine } from './shapes.js';
import { toStrip } from './strip.js';

/** @typedef {import('./reading.js').Reading} Reading @typedef {import('./shapes.js').Shape} Shape @typedef {import('./layout.js').Layout} Layout @typedef {import('./scale.js').Scale} Scale */
/** A run in the picture; without a reading nothing of it has come but how many streams there will be. `gain`: see `gainOf` in run.js. `end`: how it ended, null while it goes on. `name` is the whole of a label that was shortened. @typedef {{label: string, name?: string, reading: Reading | null, gain: number | null, end: string | null, streams?: number}} Shown */
/** @typedef {{layout: Layout, runs: Shown[], sizes: Scale, gradients: Scale}} Plan */

const SHARE = 0.85; // of the room between two streams is the widest ribbon
const GUESS = 4; // streams of a run of which nothing has come

/** @param {Shown[]} runs @param {number} width in pixels @param {number} layers of the deepest @returns {Plan} */
export function toPlan(runs, width, layers) {
  const readings = runs.flatMap(({ reading }) => reading ?? []);
  const streams = runs.map(({ reading, streams: guess }) => reading?.streams ?? guess ?? GUESS);
  const layout = toLayout(width, streams, layers);
  const most_px = SHARE * layout.gap;
  return {
    layout,
    runs,
    sizes: toScale(spanOf(readings, 'sizes'), most_px),
    gradients: toScale(spanOf(readings, 'gradients'), most_px),
  };
}

/** All that stays as it is while the cursor moves. @param {Plan} plan @returns {Shape[]} */
export function toStill(plan) {
  const bands = plan.runs.flatMap((shown, run) => toBand(plan, shown, run));
  return hasBegun(plan) ? [...bands, ...toHead(plan.layout), ...toKey(plan.layout, plan.sizes)] : bands;
}

/** Whether any size is there to be drawn. @param {Plan} plan */
function hasBegun({ runs }) {
  const readings = runs.flatMap(({ reading }) => reading ?? []);
  return spanOf(readings, 'sizes') !== null;
}

/** @param {Plan} plan @param {Shown} shown @param {number} run @returns {Shape[]} */
function toBand({ layout, sizes }, shown, run) {
  const { reading } = shown;
  const band = layout.bands[run];
  const edge = run > 0 ? [toLine([0, band.top, layout.width, band.top], 'grid')] : [];
  const strip = reading ? toStrip(reading, run, layout, band, sizes) : [];
  return [...edge, ...toLabel(shown, run, layout), ...strip];
}

/**
 * What follows the cursor: its layer marked in the strips, and magnified.
 * @param {Plan} plan
 * @param {number} layer from 0
 * @param {{first: number, last: number} | null} [part] the layers that are spoken of, where they are not all
 * @returns {Shape[]}
 */
export function toCursor(plan, layer, part = null) {
  if (!hasBegun(plan)) return [];
  const { layout, runs, sizes } = plan;
  const glasses = runs.flatMap(({ reading }, run) =>
    reading ? toGlass(reading, run, layout.bands[run], sizes, layer) : [],
  );
  return [...(part ? toVeils(layout, part) : []), ...toLenses(layout, layer), toCursorHead(layout, layer), ...glasses];
}

const VEIL = 0.72;

/** Layers that are not spoken of stand behind a veil. @param {Layout} layout @param {{first: number, last: number}} part @returns {Shape[]} */
function toVeils(layout, { first, last }) {
  const band = layout.bands[0];
  const [left, from, to, right] = [0, first, last + 1, layout.layers].map((place) => xOf(layout, band, place));
  return toReaches(layout).flatMap(([top, bottom]) =>
    [
      [left - 2, from],
      [to, right + 2],
    ].map(([x0, x1]) => toArea([x0, top, x1, top, x1, bottom, x0, bottom], 'card', VEIL)),
  );
}

/** From where to where strips lie: all of them, or on a phone, where other things lie between them, each. @param {Layout} layout */
function toReaches({ bands, isNarrow }) {
  if (isNarrow) return bands.map(({ lanes }) => [lanes[0] - LENS_PX, lanes[lanes.length - 1] + LENS_PX]);
  return [[bands[0].top + 2, bands[bands.length - 1].bottom - 2]];
}

const LENS_PX = 8; // over and under the streams of a strip

/** A lens over the layer: one over all strips, or on a phone, where other things lie between them, one on each. @param {Layout} layout @param {number} layer @returns {Shape[]} */
function toLenses(layout, layer) {
  const [left, right] = [layer, layer + 1].map((place) => xOf(layout, layout.bands[0], place));
  return toReaches(layout).map(([top, bottom]) => toLens(left - 1, top, right - left + 2, bottom - top));
}

/** @param {number} x @param {number} y @param {number} width @param {number} height @returns {Shape} */
function toLens(x, y, width, height) {
  return { kind: 'box', x, y, width, height, radius: 3, color: 'ink', fill: 'ink', opacity: 0.1 };
}
