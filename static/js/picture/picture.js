/** Builds the picture from shapes: static parts, and parts that follow the cursor. No browser here. */

import { toArcs } from './arcs.js';
import { linesBelow, toAxis, toGain, toLabel, toNames } from './captions.js';
import { toEditShapes } from './editmarks.js';
import { toEdge, toInside } from './inside.js';
import { toLayout, xOf } from './layout.js';
import { log10Span } from './reading.js';
import { toScale, widthAt } from './scale.js';
import { toArea, toClip, toCorners } from './shapes.js';
import { isFaded, listExchanges, sizeAt, toLineEdges, toLosses, toMixingLines, toRibbons } from './strip.js';

/** @typedef {import('./reading.js').Reading} Reading @typedef {import('./shapes.js').Shape} Shape @typedef {import('./layout.js').Layout} Layout @typedef {import('./scale.js').Scale} Scale @typedef {import('./strip.js').Exchange} Exchange */
/**
 * A run in the picture; without a reading only its number of streams is known. `gain` is formatted (`data/gain.js`), `isMedian` whether it is the median of seeds, `peak` its layer,
 * from 1, `course` the gains over layers, log10, `range` the gains of other seeds, `unedited` that without edits in words. `end`: status of the ended run, null while it is
 * running. `name` is the full text of a shortened label. `isBehind`: sizes belong to earlier settings. `isUnconstrained`: the mixing is
 * unconstrained; such runs are drawn at the bottom, behind the others. `edited`: layers whose mixing is edited.
 * @typedef {{label: string, name?: string, kind?: string | null, reading: Reading | null, gain: string | null, isMedian?: boolean, peak?: number | null,
 *   course?: {forward: Float64Array, backward: Float64Array} | null, range?: {low: string, high: string, words: string} | null, unedited?: string | null, end: string | null, streams?: number, isUnconstrained?: boolean, isBehind?: boolean, edited?: Set<number>}} Shown
 * `isFading`: a ribbon is so wide that it fades. `isMixed`: mixing lines are drawn, or may follow. `hasSeeds`: a run has several seeds, of which the first is drawn. `edits`: those of each run.
 * @typedef {{layout: Layout, edits: import('./editmarks.js').Mark[][], runs: Shown[], names: string[], order: number[], scale: Scale, exchanges: Exchange[][], isFading: boolean, isMixed: boolean, hasSeeds: boolean}} Plan
 */

const GUESS = 4; // streams of a run without data

/**
 * Plan the picture: layout, scale and runs, from which all shapes are drawn.
 * @param {Shown[]} runs @param {number} width in pixels @param {number} layers of the deepest run
 * @param {{isLog?: boolean, isOpen?: boolean, edits?: import('./editmarks.js').Mark[][]}} [choice] logarithmic ribbon widths; whether the magnified layer is open below the strips; both default to false; edits of each run, default none
 * @returns {Plan}
 */
export function toPlan(runs, width, layers, { isLog = false, isOpen = false, edits = [] } = {}) {
  const streams = runs.map(({ reading, streams: guess }) => reading?.streams ?? guess ?? GUESS);
  const order = toOrder(runs);
  const layout = toLayout(width, streams, layers, { order, isOpen });
  const exchanges = runs.map(({ reading }) => (reading ? listExchanges(reading, layout) : []));
  const scale = toScale(layout.unit_px, isLog);
  const span = log10Span(
    runs.flatMap(({ reading }) => reading ?? []),
    'sizes',
  );
  const isFading = span !== null && isFaded(span[1], scale, layout);
  const isMixed = exchanges.some(({ length }) => length > 0) || runs.every(({ reading }) => !reading);
  const hasSeeds = runs.some(({ reading }) => reading?.hasSeeds === true);
  return { layout, edits, runs, names: toNames(runs), order, scale, exchanges, isFading, isMixed, hasSeeds };
}

/** Order the runs from top to bottom of the picture: those with unconstrained mixing come last. @param {Pick<Shown, 'isUnconstrained'>[]} runs */
export function toOrder(runs) {
  const places = runs.map((_, run) => run);
  return [...places.filter((run) => !runs[run].isUnconstrained), ...places.filter((run) => runs[run].isUnconstrained)];
}

/** Draw the static parts: ribbons, mixing and layer numbers. @param {Plan} plan @returns {Shape[]} */
export function toStaticShapes(plan) {
  return [...toBackShapes(plan), ...toFrontShapes(plan)];
}

/** Draw the ribbons behind all other shapes: those of the lowest run if its mixing is free. They may cover the card, and take the longest to paint. @param {Plan} plan @returns {Shape[]} */
export function toBackShapes(plan) {
  const run = plan.order[plan.order.length - 1];
  return hasBegun(plan) && plan.runs[run].isUnconstrained ? [clipToStrips(plan, toRunRibbons(plan, run))] : [];
}

/** Draw the static parts in front of the ribbons of `toBackShapes`. @param {Plan} plan @returns {Shape[]} */
export function toFrontShapes(plan) {
  return hasBegun(plan) ? [...toStrips(plan), ...toAxis(plan.layout)] : [];
}

/** Draw the names of the runs left of the picture's strips, and their gains right of them. @param {Plan} plan @returns {Shape[]} */
function toSides({ layout, runs, names, order }) {
  const known = order.filter((run) => runs[run].gain !== null);
  const first = [known[0], known.find((run) => runs[run].isMedian)]; // of each kind of number
  return runs.flatMap((shown, run) => [
    ...toLabel(shown, names[run], run, layout),
    ...toGain(shown.gain, linesBelow(shown, first.includes(run), layout, run), run, layout),
  ]);
}

/** Draw all runs of the picture but what is behind the others; runs with free mixing first, because their ribbons may cover the others. @param {Plan} plan @returns {Shape[]} */
function toStrips(plan) {
  const { layout, runs, order } = plan;
  const shapes = order.toReversed().flatMap((run, index) => toStrip(plan, run, index === 0));
  const losses = runs.flatMap(({ reading }, run) => (reading ? toLosses(reading, layout, layout.bands[run]) : []));
  return [clipToStrips(plan, shapes), ...losses];
}

/** Draw one run of the picture, without what `toBackShapes` draws of the lowest. @param {Plan} plan @param {number} run @param {boolean} isLowest @returns {Shape[]} */
function toStrip(plan, run, isLowest) {
  const { layout, runs, scale, exchanges } = plan;
  const { reading, isUnconstrained } = runs[run];
  if (!reading) return [];
  const band = layout.bands[run];
  const lines = toMixingLines(exchanges[run], run, layout, band);
  // Wide ribbons would hide lines behind them; elsewhere lines must not cross ribbons.
  if (!isUnconstrained) return [...lines, ...toRunRibbons(plan, run)];
  const edges = toLineEdges(exchanges[run], lines, reading, band, scale);
  return [...(isLowest ? [] : toRunRibbons(plan, run)), ...edges, ...lines];
}

/** Draw the ribbons of a run: the size of the signal in each stream. @param {Plan} plan @param {number} run @returns {Shape[]} */
function toRunRibbons({ layout, runs, scale }, run) {
  const { reading } = runs[run];
  return reading ? toRibbons(reading, run, layout, layout.bands[run], scale) : [];
}

/** Clip shapes to the strips. @param {Plan} plan @param {Shape[]} shapes @returns {Shape} */
const clipToStrips = ({ layout: { strips } }, shapes) => toClip({ ...strips, top: 0 }, shapes);

/** Return whether the signal's size is known at any layer of any run. @param {Plan} plan */
export function hasBegun({ runs }) {
  const readings = runs.flatMap(({ reading }) => reading ?? []);
  return log10Span(readings, 'sizes') !== null;
}

/** Return the letter of a run, as in `A HC`. @param {Shown} shown */
const letterOf = ({ label }) => label.split(' ')[0];

/**
 * Draw names, gains and the parts that follow the cursor: layers outside the interval are dimmed, one layer of a run is magnified,
 * and arcs show what the layer reads where there is no mixing.
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
    reading && run !== null
      ? toInside(
          reading,
          run,
          plan.names[run],
          plan.layout,
          layer,
          plan.runs[run].isBehind,
          plan.edits[run],
          letterOf(plan.runs[run]),
        )
      : [];
  const arcs = plan.runs.flatMap((shown, place) =>
    shown.reading ? toArcs(shown.reading, place, plan.layout, plan.layout.bands[place], layer) : [],
  );
  const edits = plan.runs.flatMap((shown, place) =>
    shown.reading ? toEditShapes(plan.edits[place] ?? [], plan.layout, plan.layout.bands[place]) : [],
  );
  const edge = plan.layout.inside && inside.length === 0 ? [toEdge(plan.layout)] : [];
  return [...(interval ? toVeils(plan.layout, interval) : []), ...arcs, ...edits, ...sides, ...edge, ...inside];
}

/** Return the run to magnify by default: the first of the given connection, else with free mixing, else with several streams, else with attention over depth. @param {Shown[]} runs @param {string | null} [kind] @returns {number | null} */
export function magnifiedOf(runs, kind = null) {
  const isMixed = (/** @type {Shown} */ { reading }) => (reading?.streams ?? 1) > 1;
  const tests = [
    (/** @type {Shown} */ shown) => shown.reading !== null && kind !== null && shown.kind === kind,
    (/** @type {Shown} */ shown) => isMixed(shown) && Boolean(shown.isUnconstrained),
    isMixed,
    (/** @type {Shown} */ { reading }) => Boolean(reading?.outputs),
    (/** @type {Shown} */ { reading }) => reading !== null,
  ];
  const [found] = tests.map((test) => runs.findIndex(test)).filter((run) => run >= 0);
  return found ?? null;
}

const RIBBON_SLACK_PX = 2;

/** Return the front run whose ribbon is at a point, or null. @param {Plan} plan @param {number} x @param {number} y */
export function ribbonAt({ layout, runs, order, scale }, x, y) {
  const { left, right, bottom } = layout.strips;
  if (x < left || x > right || y > bottom) return null;
  const position = ((x - left) / (right - left)) * layout.layers;
  const found = order.find((run) => {
    const { reading } = runs[run];
    if (!reading || position > reading.layers) return false;
    return layout.bands[run].lanes.some(
      (lane, stream) =>
        Math.abs(y - lane) <= widthAt(scale, sizeAt(reading, 'sizes', position, stream)) / 2 + RIBBON_SLACK_PX,
    );
  });
  return found ?? null;
}

const VEIL = 0.72;

/** Draw veils over the layers outside the interval. @param {Layout} layout @param {{first: number, last: number}} interval @returns {Shape[]} */
function toVeils(layout, { first, last }) {
  const { left, right, bottom } = layout.strips;
  const [from, to] = [first, last + 1].map((position) => xOf(layout, position));
  const ends = [
    [left - 1, from],
    [to, right + 1],
  ];
  return ends.map(([x0, x1]) => toArea(toCorners(x0, 0, x1, bottom), 'card', VEIL));
}

const FRAME_PX = 4; // above and below the strips

/** Compute the cursor's frame around a layer. @param {Layout} layout @param {number} layer */
export function frameOf(layout, layer) {
  const [left, right] = [layer, layer + 1].map((position) => xOf(layout, position));
  const { top, bottom } = layout.strips;
  return {
    x: left - 1,
    y: FRAME_PX,
    width: Math.max(6, right - left + 2),
    height: bottom - (top > FRAME_PX ? FRAME_PX : 0),
  };
}

/** Draw the frame of the cursor around a layer of the picture, for images. @param {Layout} layout @param {number} layer @returns {Shape} */
export function toFrame(layout, layer) {
  return { kind: 'box', ...frameOf(layout, layer), radius: 2, color: 'ink', fill: 'ink', opacity: 0.04 };
}
