/** The whole picture in shapes: what stays until the data change, and what follows the cursor. No browser here. */

import { linesBelow, toAxis, toGain, toLabel, toNames } from './captions.js';
import { toEdge, toInside } from './inside.js';
import { toLayout, xOf } from './layout.js';
import { spanOf } from './reading.js';
import { toScale, widthAt } from './scale.js';
import { toArea, toClip, toCorners } from './shapes.js';
import { isFaded, listExchanges, sizeAt, toLosses, toMixingLines, toRibbons } from './strip.js';

/** @typedef {import('./reading.js').Reading} Reading @typedef {import('./shapes.js').Shape} Shape @typedef {import('./layout.js').Layout} Layout @typedef {import('./scale.js').Scale} Scale @typedef {import('./strip.js').Exchange} Exchange */
/**
 * A run in the picture; without a reading nothing of it has come but how many streams there will be. `gain` is in words (`data/gain.js`),
 * `peak` the layer, from 1, at which it is reached, `course` its way there, log10, `range` what other seeds would give. `end`: how it ended, null while it goes on. `name` is the whole of a label that was shortened,
 * `isBehind` that its sizes are those of settings before, `isFree` that nothing bounds its mixing: such runs are at the bottom, and behind the others.
 * @typedef {{label: string, name?: string, kind?: string | null, reading: Reading | null, gain: string | null, peak?: number | null,
 *   course?: {forward: Float64Array, backward: Float64Array} | null, range?: {low: string, high: string, words: string} | null, end: string | null, streams?: number, isFree?: boolean, isBehind?: boolean}} Shown
 * `isFading`: whether a ribbon is so wide that it fades. `isMixed`: whether lines of mixing are drawn, or may come.
 * @typedef {{layout: Layout, runs: Shown[], names: string[], order: number[], scale: Scale, exchanges: Exchange[][], isFading: boolean, isMixed: boolean}} Plan
 */

const GUESS = 4; // streams of a run of which nothing has come

/**
 * @param {Shown[]} runs @param {number} width in pixels @param {number} layers of the deepest
 * @param {{isLog?: boolean, isOpen?: boolean}} [choice] widths of ribbons in logarithms; whether the magnified layer is shown where it is below the strips
 * @returns {Plan}
 */
export function toPlan(runs, width, layers, { isLog = false, isOpen = false } = {}) {
  const streams = runs.map(({ reading, streams: guess }) => reading?.streams ?? guess ?? GUESS);
  const order = toOrder(runs);
  const layout = toLayout(width, streams, layers, { order, isOpen });
  const exchanges = runs.map(({ reading }) => (reading ? listExchanges(reading, layout) : []));
  const scale = toScale(layout.unit_px, isLog);
  const span = spanOf(
    runs.flatMap(({ reading }) => reading ?? []),
    'sizes',
  );
  const isFading = span !== null && isFaded(span[1], scale, layout);
  const isMixed = exchanges.some(({ length }) => length > 0) || runs.every(({ reading }) => !reading);
  return { layout, runs, names: toNames(runs), order, scale, exchanges, isFading, isMixed };
}

/** Runs from top to bottom. @param {Pick<Shown, 'isFree'>[]} runs */
export function toOrder(runs) {
  const places = runs.map((_, run) => run);
  return [...places.filter((run) => !runs[run].isFree), ...places.filter((run) => runs[run].isFree)];
}

/** What stays as it is while the cursor moves: ribbons, mixing and the layers' numbers. @param {Plan} plan @returns {Shape[]} */
export function toStill(plan) {
  return hasBegun(plan) ? [...toStrips(plan), ...toAxis(plan.layout)] : [];
}

/** Names and gains. @param {Plan} plan @returns {Shape[]} */
function toSides({ layout, runs, names, order }) {
  return runs.flatMap((shown, run) => [
    ...toLabel(shown, names[run], run, layout),
    ...toGain(shown.gain, linesBelow(shown, run === order[0], layout, run), run, layout),
  ]);
}

/** What is between names and gains: runs whose mixing is free flood what is around them, so they are drawn first. @param {Plan} plan @returns {Shape[]} */
function toStrips(plan) {
  const { layout, runs, order } = plan;
  const shapes = order.toReversed().flatMap((run) => toStrip(plan, run));
  const losses = runs.flatMap(({ reading }, run) => (reading ? toLosses(reading, layout, layout.bands[run]) : []));
  return [toClip({ ...layout.strips, top: 0 }, shapes), ...losses];
}

/** @param {Plan} plan @param {number} run @returns {Shape[]} */
function toStrip({ layout, runs, scale, exchanges }, run) {
  const { reading, isFree } = runs[run];
  if (!reading) return [];
  const band = layout.bands[run];
  const ribbons = toRibbons(reading, run, layout, band, scale);
  const lines = toMixingLines(exchanges[run], run, layout, band);
  // Lines would not be seen behind what floods its lane; elsewhere they do not cross ribbons.
  return isFree ? [...ribbons, ...lines] : [...lines, ...ribbons];
}

/** Whether any size is there to be drawn. @param {Plan} plan */
export function hasBegun({ runs }) {
  const readings = runs.flatMap(({ reading }) => reading ?? []);
  return spanOf(readings, 'sizes') !== null;
}

/**
 * Names, gains and what follows the cursor: the layers that are not chosen are dimmed, and one layer of one run is magnified.
 * @param {Plan} plan
 * @param {number} layer from 0
 * @param {{first: number, last: number} | null} interval the chosen layers, null for all
 * @param {number | null} run that is magnified
 * @returns {Shape[]}
 */
export function toCursor(plan, layer, interval, run) {
  const sides = toSides(plan);
  if (!hasBegun(plan)) return sides;
  const reading = run === null ? null : plan.runs[run]?.reading;
  const inside =
    reading && run !== null ? toInside(reading, run, plan.names[run], plan.layout, layer, plan.runs[run].isBehind) : [];
  const edge = plan.layout.inside && inside.length === 0 ? [toEdge(plan.layout)] : [];
  return [...(interval ? toVeils(plan.layout, interval) : []), ...sides, ...edge, ...inside];
}

/** The run that is magnified unless someone chooses: the first of a kind that is asked for, else whose mixing is free, else of several streams. @param {Shown[]} runs @param {string | null} [kind] @returns {number | null} */
export function magnifiedOf(runs, kind = null) {
  const isMixed = (/** @type {Shown} */ { reading }) => (reading?.streams ?? 1) > 1;
  const tests = [
    (/** @type {Shown} */ shown) => shown.reading !== null && kind !== null && shown.kind === kind,
    (/** @type {Shown} */ shown) => isMixed(shown) && Boolean(shown.isFree),
    isMixed,
    (/** @type {Shown} */ { reading }) => reading !== null,
  ];
  const [found] = tests.map((test) => runs.findIndex(test)).filter((run) => run >= 0);
  return found ?? null;
}

const RIBBON_SLACK_PX = 2;

/** The run whose ribbon is at a point, the one in front where several are; null where there is none. @param {Plan} plan @param {number} x @param {number} y */
export function ribbonAt({ layout, runs, order, scale }, x, y) {
  const { left, right, bottom } = layout.strips;
  if (x < left || x > right || y > bottom) return null;
  const place = ((x - left) / (right - left)) * layout.layers;
  const found = order.find((run) => {
    const { reading } = runs[run];
    if (!reading || place > reading.layers) return false;
    return layout.bands[run].lanes.some(
      (lane, stream) =>
        Math.abs(y - lane) <= widthAt(scale, sizeAt(reading, 'sizes', place, stream)) / 2 + RIBBON_SLACK_PX,
    );
  });
  return found ?? null;
}

const VEIL = 0.72;

/** @param {Layout} layout @param {{first: number, last: number}} interval @returns {Shape[]} */
function toVeils(layout, { first, last }) {
  const { left, right, bottom } = layout.strips;
  const [from, to] = [first, last + 1].map((place) => xOf(layout, place));
  const ends = [
    [left - 1, from],
    [to, right + 1],
  ];
  return ends.map(([x0, x1]) => toArea(toCorners(x0, 0, x1, bottom), 'card', VEIL));
}

const FRAME_PX = 4; // over and under the strips

/** The frame of the cursor around a layer. @param {Layout} layout @param {number} layer */
export function frameOf(layout, layer) {
  const [left, right] = [layer, layer + 1].map((place) => xOf(layout, place));
  const { top, bottom } = layout.strips;
  return {
    x: left - 1,
    y: FRAME_PX,
    width: Math.max(6, right - left + 2),
    height: bottom - (top > FRAME_PX ? FRAME_PX : 0),
  };
}

/** The same frame where it is part of an image. @param {Layout} layout @param {number} layer @returns {Shape} */
export function toFrame(layout, layer) {
  return { kind: 'box', ...frameOf(layout, layer), radius: 2, color: 'ink', fill: 'ink', opacity: 0.04 };
}
