/** Magnifies one layer of a run: reading, mixing and writing weights, and the product of all layers up to it. No browser here. */

import { formatFactor, formatGain } from '../data/gain.js';
import { formatFixed, inclusiveRange } from '../data/numbers.js';
import { WIDER, widthOf, wrapText } from '../data/textwidth.js';
import { multiplySpan, rowSums, toLog10 } from '../figures/composites.js';
import { shorten } from './captions.js';
import { toCross } from './editmarks.js';
import { logAt, sharesAt, weightsAt } from './reading.js';
import { formatLog } from './scale.js';
import { toArea, toCorners, toLine, toText } from './shapes.js';

/** @typedef {import('./layout.js').Layout} Layout @typedef {import('./reading.js').Reading} Reading @typedef {import('./reading.js').Weights} Weights @typedef {import('./shapes.js').Shape} Shape */
/** A weight, drawn between two points. @typedef {{weight: number, spread: number, points: number[]}} Link */
/** Positions of streams and branch in the magnified layer. @typedef {{left: number, right: number, lanes: number[], branch: number, name: string, half: number, middle: number}} Magnifier */

const PAD_PX = 18;
const TITLE = { size: 14, tools: 72 }; // width of the tools at its end
const NUMBER_PX = 60; // on each side, for a size of any magnitude
const LANES = { top: 84, gap: 46, room: 144 };
const MAX_MAGNIFIER_PX = 280;
const ONE_PX = 5; // largest width of a weight of 1
const LANE_SHARE = 0.24; // largest width as a share of the distance between streams
const MOST = 1.8; // largest width of any weight, relative to that of 1
const LEAST_WEIGHT = 0.004;
const BOX_PX = 28;
const TITLE_PX = 54; // height of the title and the line below it
const BELOW_PX = 20; // from the middle of the branch to the words below it
const CUT_PX = 7; // radius of the mark of a cut stream
const SMALL = 12;
const FIRST_SEED = 'first seed'; // of a run with several, whose charts show medians
const ROW_PX = 15;
const NUMBER_GAP_PX = 13; // smallest distance of streams with numbers
const ROW_LAYOUT_PX = 540; // from this width there is room next to the streams
const GAIN_PX = 16; // font size of the gain of the product
const HEATMAP_PX = { cell: 16, most: 64 };
const LEAST_HEATMAP_PX = 54; // height of the text next to it
const COLOR_SCALE = { cell: 9, cells: 9, gap: 6, wide: 1.25 }; // px of a cell and around all cells; digits are wide

/** Draw the magnified layer of a run: reading, branch, writing and mixing. @param {Reading} reading @param {number} run @param {string} name of the run @param {Layout} layout @param {number} layer from 0 @param {boolean} [isBehind] whether sizes are those of earlier settings: their numbers are then hidden; default false @param {import('./editmarks.js').Mark[]} [edits] of the run @param {string} [letter] of the run @returns {Shape[]} */
export function toInside(reading, run, name, layout, layer, isBehind = false, edits = [], letter = '') {
  const frame = layout.inside;
  if (!frame || layer >= reading.layers) return [];
  const magnifier = toMagnifier(reading, frame, layer);
  const unit =
    magnifier.lanes.length > 1 ? Math.min(ONE_PX, LANE_SHARE * (magnifier.lanes[1] - magnifier.lanes[0])) : ONE_PX;
  const { mix, read, write } = toLinks(reading, magnifier, layer);
  const [x, y] = [frame.left + PAD_PX, frame.top];
  return [
    toEdge(layout),
    toTitle(frame, layer, name, letter),
    ...wrapText(describeParts(reading), SMALL, frame.right - PAD_PX - x).map((row, index) =>
      toText(x, y + 43 + ROW_PX * index, row, 'muted'),
    ),
    ...mix.flatMap((link) => toLinkShapes(link, run, unit)),
    ...[...read, ...write].flatMap((link) => toLinkShapes(link, 'muted', unit)),
    ...toEnds(reading, run, magnifier, layer, isBehind),
    ...toCuts(edits, magnifier, layer),
    ...toBranch(reading, magnifier, layer),
    ...toWords(reading, layer, frame, magnifier),
  ];
}

/** Draw the title; in front of the tools, "Inside" is left out before a name, the letter of a run replaces a long name with settings or edits, and other names are shortened. @param {NonNullable<Layout['inside']>} frame @param {number} layer @param {string} name @param {string} letter */
function toTitle(frame, layer, name, letter) {
  const x = frame.left + PAD_PX;
  const room = frame.right - TITLE.tools - x;
  const starts = [`Inside layer ${layer + 1} of `, `Layer ${layer + 1} of `];
  const start = starts.find((words) => widthOf(words + name, TITLE.size, true) <= room) ?? starts[0];
  const short = shorten(name, TITLE.size, room - widthOf(start, TITLE.size, true));
  const text = start + (short !== name && letter && name.includes(' ') ? `run ${letter}` : short);
  const more = text.endsWith(name) ? {} : { title: start + name };
  return toText(x, frame.top + 24, text, 'ink', { size: TITLE.size, isBold: true, ...more });
}

/** Describe the parts of the magnified layer. @param {Reading} reading */
function describeParts({ outputs, streams, hasSeeds }) {
  const whose = hasSeeds ? ` (${FIRST_SEED})` : '';
  if (outputs) return `reads the embedding and earlier outputs${whose}`;
  return `${streams === 1 ? 'reads · adds' : 'reads · mixes · writes'}${whose}`;
}

/** Draw the line between the strips and the magnified layer. @param {Layout} layout @returns {Shape} */
export function toEdge({ inside, width }) {
  const { left, top, bottom } = /** @type {NonNullable<Layout['inside']>} */ (inside);
  return toLine(top === 0 ? [left + 0.5, 0, left + 0.5, bottom] : [0, top + 0.5, width, top + 0.5], 'grid');
}

/** Compute the positions inside the magnified layer. @param {Reading} reading @param {NonNullable<Layout['inside']>} frame @param {number} layer @returns {Magnifier} */
function toMagnifier({ streams, blocks }, frame, layer) {
  const width = Math.min(MAX_MAGNIFIER_PX, frame.right - frame.left - 2 * PAD_PX);
  const middle = frame.top === 0 ? (frame.left + frame.right) / 2 : frame.left + PAD_PX + width / 2;
  const gap = Math.min(LANES.gap, LANES.room / Math.max(1, streams - 1));
  const lanes = inclusiveRange(0, streams - 1).map((stream) => frame.top + LANES.top + stream * gap);
  const name = blocks[layer] ?? 'branch';
  return {
    left: middle - width / 2 + NUMBER_PX,
    right: middle + width / 2 - NUMBER_PX,
    lanes,
    branch: lanes[streams - 1] + 56,
    name,
    half: widthOf(name, SMALL) / 2 + 9,
    middle,
  };
}

/** List the weights of a layer: mixing, reading and writing. @param {Reading} reading @param {Magnifier} magnifier @param {number} layer */
function toLinks(reading, { left, right, lanes, middle, half, branch }, layer) {
  const isApart = reading.read.mean?.shape.length === 3; // the branch reads each part separately
  const portOf = (/** @type {number} */ part) =>
    branch + (isApart ? ((part + 0.5) / reading.streams - 0.5) * (BOX_PX - 6) : 0);
  return {
    mix: linksOf(reading.mix, layer, (to, from) => toCurve(left, lanes[from], right, lanes[to])),
    read: linksOf(reading.read, layer, (part, from) => toCurve(left, lanes[from], middle - half, portOf(part))),
    write: linksOf(reading.write, layer, (_, to) => toCurve(middle + half, portOf(to), right, lanes[to])),
  };
}

/** Build a curve with horizontal ends for the picture. @param {number} x0 @param {number} y0 @param {number} x1 @param {number} y1 */
function toCurve(x0, y0, x1, y1) {
  const bend = 0.5 * (x1 - x0);
  return [x0, y0, x0 + bend, y0, x1 - bend, y1, x1, y1];
}

/** List the visible weights of a layer; a vector counts as a matrix with one row. @param {Weights} weights @param {number} layer @param {(row: number, column: number) => number[]} place @returns {Link[]} */
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

/** Draw a line as wide as the weight, within a lighter band for the deviation over tokens. @param {Link} link @param {import('./shapes.js').Ink} color @param {number} unit width of a weight of 1 @returns {Shape[]} */
function toLinkShapes({ weight, spread, points }, color, unit) {
  const thick = (/** @type {number} */ value) => Math.min(MOST * unit, 0.6 + unit * value);
  const line = toLine(points, color, {
    width: thick(Math.abs(weight)),
    opacity: Math.min(0.95, 0.3 + Math.abs(weight) + spread),
    isDashed: weight < 0,
    isCurve: true,
  });
  if (spread === 0) return [line];
  return [{ ...line, width: thick(Math.abs(weight) + spread), opacity: 0.28, isDashed: false }, line];
}

/** Draw the streams before and after the magnified layer, with sizes. @param {Reading} reading @param {number} run @param {Magnifier} magnifier @param {number} layer @param {boolean} isBehind @returns {Shape[]} */
function toEnds(reading, run, { left, right, lanes }, layer, isBehind) {
  const isRoomy = lanes.length === 1 || lanes[1] - lanes[0] >= NUMBER_GAP_PX;
  return lanes.flatMap((y, stream) =>
    [
      { x: left, place: layer, anchor: /** @type {const} */ ('end'), shift: -12, radius: 5 },
      { x: right, place: layer + 1, anchor: /** @type {const} */ ('start'), shift: 12, radius: 6 },
    ].flatMap(({ x, place, anchor, shift, radius }) => {
      const log10 = logAt(reading, 'sizes', place, stream);
      if (Number.isNaN(log10)) return [];
      const dot = /** @type {Shape} */ ({ kind: 'dot', x, y, radius: isRoomy ? radius : 2, color: run, fill: run });
      return isRoomy && !isBehind ? [dot, toText(x + shift, y, toSizeText(log10), 'ink', { anchor })] : [dot];
    }),
  );
}

/** Format the size of a stream, with the digits of the small charts. @param {number} log10 */
const toSizeText = (log10) => (Number.isFinite(log10) ? formatFactor(log10) : formatLog(log10));

/** Cross out the streams that are cut at the layer. @param {import('./editmarks.js').Mark[]} edits @param {Magnifier} magnifier @param {number} layer @returns {Shape[]} */
function toCuts(edits, { left, lanes }, layer) {
  const cut = edits.filter(
    ({ edit: { what, do: act, layers } }) =>
      (what === 'stream' || what === 'state') && act === 'zero' && layers[0] <= layer && layer <= layers[1],
  );
  return cut.flatMap(({ edit: { index } }) =>
    (index === undefined ? lanes : [lanes[index]]).flatMap((y) => [
      { kind: /** @type {const} */ ('dot'), x: left, y, radius: CUT_PX, color: 'ink', fill: 'card' },
      ...toCross(left, y),
    ]),
  );
}

/** Return the magnifier of the magnified layer in a layout; null if it is closed. @param {Reading} reading @param {Layout} layout @param {number} layer @returns {Magnifier | null} */
export function magnifierOf(reading, { inside }, layer) {
  return inside && layer < reading.layers ? toMagnifier(reading, inside, layer) : null;
}

/** Return the area of reading, mixing and writing in the magnified layer, between its title and the words about it. @param {Reading} reading @param {Layout} layout @param {number} layer @returns {{x: number, y: number, width: number, height: number} | null} null if the magnified layer is closed */
export function mixingAreaOf(reading, layout, layer) {
  const magnifier = magnifierOf(reading, layout, layer);
  if (!layout.inside || !magnifier) return null;
  const [x, y] = [magnifier.left - NUMBER_PX, layout.inside.top + TITLE_PX];
  return { x, y, width: magnifier.right + NUMBER_PX - x, height: magnifier.branch + BELOW_PX - y };
}

/** Draw the branch of the magnified layer as a box with its kind, and a note if the mixing is not known. @param {Reading} reading @param {Magnifier} magnifier @param {number} layer @returns {Shape[]} */
function toBranch({ mix, streams, outputs }, { name, half, middle, branch, lanes }, layer) {
  const isKnown = outputs || weightsAt(mix.mean, layer) !== null;
  const unknown = streams === 1 ? 'skip path not known' : 'mixing not known';
  const [x, y] = [middle - half, branch - BOX_PX / 2];
  return [
    { kind: 'box', x, y, width: 2 * half, height: BOX_PX, radius: 6, color: 'ink', fill: 'card', opacity: 1 },
    toText(middle, branch, name, 'ink', { anchor: 'middle' }),
    ...(isKnown
      ? []
      : [toText(middle, (lanes[0] + branch) / 2, unknown, 'muted', { anchor: 'middle', hasHalo: true })]),
  ];
}

/** Draw the sentence about the magnified layer, and the product of matrices up to it. @param {Reading} reading @param {number} layer @param {NonNullable<Layout['inside']>} frame @param {Magnifier} magnifier @returns {Shape[]} */
function toWords(reading, layer, frame, { branch }) {
  const isBelow = frame.right - frame.left < ROW_LAYOUT_PX;
  const left = isBelow ? frame.left + PAD_PX : Math.min(frame.left + PAD_PX + MAX_MAGNIFIER_PX + 20, frame.right - 190);
  const room = (frame.right - PAD_PX - left) / WIDER;
  const sentence = reading.outputs ? describeReads(reading, layer) : describeRow(reading, layer);
  const rows = sentence ? wrapText(sentence, SMALL, room) : [];
  const y = isBelow ? branch + 32 : frame.top + 84;
  return [
    ...rows.map((row, index) => toText(left, y + ROW_PX * index, row, 'muted')),
    ...toProduct(reading, layer, left, y + ROW_PX * rows.length + 2),
  ];
}

const EVEN = 0.005; // sums this close to 1 do not change sizes

/** Describe what the mixing of a layer does to a shared signal; empty if unknown. @param {Reading} reading @param {number} layer from 0 */
export function describeRow({ mix, streams: n, layers }, layer) {
  const values = layer < layers ? weightsAt(mix.mean, layer) : null;
  if (n === 1 || !values) return '';
  const sums = inclusiveRange(0, n - 1).map((i) => sumOf(Array.from(values.subarray(i * n, (i + 1) * n))));
  if (!sums.every(Number.isFinite)) return '';
  if (sums.every((sum) => Math.abs(sum - 1) < EVEN))
    return 'Every row of H_res sums to 1, so mixing does not change a shared signal.';
  const row = sums.reduce((most, sum, index) => (Math.abs(sum) > Math.abs(sums[most]) ? index : most), 0);
  const sum = formatFixed(sums[row], 2);
  return `Row ${row + 1} of H_res sums to ${sum}: mixing multiplies a shared signal in stream ${row + 1} by ${sum}.`;
}

const NAMED = 3; // sources that a sentence names

/** Describe which sources a layer reads most; empty if unknown. @param {Reading} reading @param {number} layer from 0 */
export function describeReads(reading, layer) {
  const shares = sharesAt(reading, layer);
  if (!shares) return '';
  if (layer === 0) return 'Layer 1 reads the embedding alone.';
  const percent = (/** @type {number} */ share) => `${(100 * share).toFixed(1)} %`;
  // A layer of a loop may not read the outputs of earlier turns, whose weights are then 0.
  const order = shares.flatMap((share, source) => (share === 0 ? [] : [source]));
  order.sort((one, other) => shares[other] - shares[one]);
  const even = percent(1 / order.length);
  if (shares[order[0]] - shares[order[order.length - 1]] < EVEN / order.length)
    return `It reads ${order.length} sources evenly: ${even} each.`;
  const nameOf = (/** @type {number} */ source) => (source === 0 ? 'the embedding' : `the output of layer ${source}`);
  const named = order.slice(0, NAMED).map((source) => `${nameOf(source)} (${percent(shares[source])})`);
  return `It reads most of ${named.join(', ')}. An even share is ${even}.`;
}

/** Add up values. @param {number[]} values */
const sumOf = (values) => values.reduce((sum, value) => sum + value, 0);

/** Draw the product of the matrices up to a layer: a heatmap of its weights, the gain, and a colour scale. @param {Reading} reading @param {number} layer @param {number} left @param {number} top @returns {Shape[]} */
function toProduct({ mix, streams: n, hasSeeds }, layer, left, top) {
  if (n === 1 || !mix.mean || !weightsAt(mix.mean, layer)) return [];
  const product = multiplySpan(mix.mean, 'first-cursor', layer);
  if (!product.scaled.every(Number.isFinite)) return [];
  const log10 = toLog10(Math.max(...rowSums(product).map(Math.abs)), product.exponent);
  const most = Math.max(...product.scaled.map(Math.abs));
  const cell = Math.min(HEATMAP_PX.cell, HEATMAP_PX.most / n);
  const cells = Array.from(product.scaled, (weight, index) => {
    const [x, y] = [left + (index % n) * cell, top + Math.floor(index / n) * cell];
    const share = most > 0 ? Math.abs(weight) / most : 0;
    return toCell(x, y, cell, weight < 0 ? -share : share);
  });
  const gain = formatGain(log10);
  const words = layer === 0 ? 'Layer 1:' : `Product of layers 1 to ${layer + 1}:`;
  const x = left + n * cell + 12;
  const hasNegative = product.scaled.some((weight) => weight < 0);
  const largest = formatFactor(toLog10(most, product.exponent));
  return [
    ...cells,
    toText(x, top + 8, words, 'muted'),
    toText(x, top + 28, gain, 'ink', { size: GAIN_PX, isBold: true }),
    ...(hasSeeds ? [toText(x + WIDER * widthOf(gain, GAIN_PX, true) + 8, top + 28, FIRST_SEED, 'muted')] : []),
    toText(x, top + 48, 'Cell: weight, column → row', 'muted'),
    ...toColorScale(
      hasNegative ? `−${largest}` : '0',
      largest,
      hasNegative ? -1 : 0,
      left,
      top + Math.max(n * cell, LEAST_HEATMAP_PX) + 13,
    ),
  ];
}

/** Draw a cell of the heatmap of weights in the magnified layer. @param {number} x @param {number} y @param {number} cell @param {number} share of the largest weight, with its sign @returns {Shape} */
function toCell(x, y, cell, share) {
  const corners = toCorners(x, y, x + cell - 1, y + cell - 1);
  return toArea(corners, share < 0 ? 'minus' : 'plus', 0.08 + 0.92 * Math.abs(share));
}

/** Draw the colour scale of the heatmap of weights in the magnified layer. @param {string} low @param {string} high @param {number} first share of the least @param {number} left @param {number} y @returns {Shape[]} */
function toColorScale(low, high, first, left, y) {
  const start = left + COLOR_SCALE.wide * widthOf(low, SMALL) + COLOR_SCALE.gap;
  const cells = inclusiveRange(0, COLOR_SCALE.cells - 1).map((index) =>
    toCell(
      start + COLOR_SCALE.cell * index,
      y - COLOR_SCALE.cell / 2,
      COLOR_SCALE.cell,
      first + ((1 - first) * index) / (COLOR_SCALE.cells - 1),
    ),
  );
  return [
    toText(left, y, low, 'muted'),
    ...cells,
    toText(start + COLOR_SCALE.cell * COLOR_SCALE.cells + COLOR_SCALE.gap, y, high, 'muted'),
  ];
}
