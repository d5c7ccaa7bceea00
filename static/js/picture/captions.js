/** Text around the strips: names, gains, and layer numbers. No browser here. */

import { inclusiveRange, niceStep } from '../data/numbers.js';
import { widthOf, wrapText } from '../data/textwidth.js';
import { shortenName } from '../figures/labels.js';
import { xOf } from './layout.js';
import { weightsAt } from './reading.js';
import { toLine, toText } from './shapes.js';
import { nameGain, pictureCaption } from './words.js';

/** @typedef {import('./picture.js').Shown} Shown @typedef {import('./reading.js').Reading} Reading @typedef {import('./shapes.js').Shape} Shape @typedef {import('./layout.js').Layout} Layout */

const SMALL = 12;
const ROW_PX = 15;
const NAME = { wide: 16, medium: 16, narrow: 14 };
const GAINS = { wide: [28, 20, 16], medium: [28, 20, 16], narrow: [16, 14, 12] }; // font sizes; the first that fits is used
const BELOW_PX = { wide: 25, medium: 25, narrow: 17 }; // from a gain to the line below it
const GAP_PX = 10; // on a phone, between the streams of a run and the next gain
const MAX_ROWS = 2;
const NARROW_SHARE = 0.8; // of the strips, that a name above them may cover
const NAME_ROW_PX = 19;
const TWO_LINES_PX = 84; // height of the strips next to a name of two lines, and what describes them
const GROUND = { pad: 6, half: 8, opacity: 0.88 }; // of a name over the strips

const MAX_TICKS = { wide: 5, medium: 5, narrow: 4 };

/** Return the names of runs in the picture, without letters if the names are unique. @param {Shown[]} runs @returns {string[]} */
export function toNames(runs) {
  const bare = runs.map(({ label }) => label.replace(/^[A-Z] /, ''));
  return bare.map((name, run) => (bare.indexOf(name) === bare.lastIndexOf(name) ? name : runs[run].label));
}

/** Draw the name of a run, and lines about its streams; on a phone these are below its gain, because ribbons would be behind them. @param {Shown} shown @param {string} name @param {number} run @param {Layout} layout @returns {Shape[]} */
export function toLabel(shown, name, run, { bands, form }) {
  const { label, name: fullName = label } = shown;
  const { x, y, room } = bands[run].label;
  const size = NAME[form];
  const lines = form === 'narrow' ? [shorten(name, size, NARROW_SHARE * room)] : toLines(name, size, bands[run]);
  const title = lines.join(' ') === name && fullName === label ? {} : { title: fullName };
  const head = lines.map((text, index) =>
    toText(x, y - NAME_ROW_PX * (lines.length - 1 - index), text, run, { size, isBold: true, ...title }),
  );
  if (form === 'narrow') return [{ ...head[0], ground: GROUND }];
  const rows = wrapText(describeRun(shown), SMALL, room).slice(0, MAX_ROWS);
  return [...head, ...rows.map((row, index) => toText(x, y + 20 + ROW_PX * index, row, 'muted'))];
}

/** Break a run's name into two lines, and shorten the second if needed. One line if the name fits or the strips are low. @param {string} name @param {number} size @param {import('./layout.js').Band} band */
function toLines(name, size, { top, bottom, label: { room } }) {
  if (widthOf(name, size, true) <= room || bottom - top < TWO_LINES_PX) return [shorten(name, size, room)];
  const words = name.split(' ');
  const fits = (/** @type {number} */ count) => widthOf(words.slice(0, count).join(' '), size, true) <= room;
  const count = words.findLastIndex((_, index) => index > 0 && fits(index));
  if (count < 1) return [shorten(name, size, room)];
  return [words.slice(0, count).join(' '), shorten(words.slice(count).join(' '), size, room)];
}

/** Describe the streams of a run, or why there are none. @param {Shown} shown */
function describeRun({ reading, end, edited }) {
  return reading ? describeStreams(reading, edited) : (end ?? '');
}

/** Shorten the name of a run to a width in the picture. @param {string} name @param {number} size @param {number} room */
export function shorten(name, size, room) {
  let text = name;
  for (let most = name.length - 1; widthOf(text, size, true) > room && most > 2; most--) text = shortenName(name, most);
  return text;
}

const EXACT = 0.005; // sums this close to 1 count as 1: with two decimals, as on the page, they are 1.00
const UNSEEN = 0.001; // weights between streams that cannot be seen in one layer

/** Caches descriptions by matrix. @type {WeakMap<import('../../types').Matrix, string>} */
const descriptions = new WeakMap();

/** Describe streams and mixing of a run. @param {Reading} reading @param {Set<number>} [edited] layers whose mixing is edited, default none */
function describeStreams({ streams, layers, mix: { mean } }, edited = new Set()) {
  if (streams === 1) return '1 stream';
  const known = mean && descriptions.get(mean);
  if (known) return known;
  const words = `${streams} streams${mean ? describeMixing(mean, streams, layers, edited) : ''}`;
  if (mean && weightsAt(mean, layers - 1)) descriptions.set(mean, words); // only complete matrices
  return words;
}

/** Describe the mixing from the sums of its matrices; empty if incomplete. @param {import('../../types').Matrix} mean @param {number} n @param {number} layers @param {Set<number>} edited layers that are left out */
function describeMixing(mean, n, layers, edited) {
  let [rows, columns, others, turned] = [0, 0, 0, 0];
  for (let layer = 0; layer < layers; layer++) {
    if (edited.has(layer)) continue;
    const values = weightsAt(mean, layer);
    if (!values) return '';
    for (let i = 0; i < n; i++) {
      let [row, column] = [0, 0];
      for (let j = 0; j < n; j++) {
        turned = Math.max(turned, Math.abs(multiplyRows(values, n, i, j) - (i === j ? 1 : 0)));
        row += values[i * n + j];
        column += values[j * n + i];
        if (i !== j) others = Math.max(others, Math.abs(values[i * n + j]));
      }
      rows = Math.max(rows, Math.abs(row - 1));
      columns = Math.max(columns, Math.abs(column - 1));
    }
  }
  if (others === 0 && rows < EXACT) return ', not mixed';
  if (others < UNSEEN && rows < EXACT) return ', hardly mixed'; // over many layers it adds up
  if (rows < EXACT) return columns < EXACT ? ', rows and columns sum to 1' : ', rows sum to 1';
  return turned < EXACT ? ', rotated: their norm is kept' : ', mixed freely';
}

/** Multiply two rows of a matrix: 0 for different ones and 1 for the same if it is orthogonal. @param {Float32Array | Float64Array} values @param {number} n @param {number} i @param {number} j */
function multiplyRows(values, n, i, j) {
  let sum = 0;
  for (let k = 0; k < n; k++) sum += values[i * n + k] * values[j * n + k];
  return sum;
}

/**
 * Draw the gain of a run in large text, and lines below it; on a phone also lines without a gain.
 * @param {string | null} gain @param {string[]} below lines @param {number} run @param {Layout} layout
 * @returns {Shape[]}
 */
export function toGain(gain, below, run, { bands, form }) {
  if (gain === null && form !== 'narrow') return [];
  const { x, y, room } = bands[run].gain;
  const text = `×${gain}`;
  const sizes = GAINS[form];
  const size = sizes.find((one) => widthOf(text, one, true) <= room) ?? sizes[sizes.length - 1];
  return [
    ...(gain === null ? [] : [toText(x, y, text, run, { size, isBold: true })]),
    ...below.map((row, index) => toText(x, y + BELOW_PX[form] + ROW_PX * index, row, 'muted')),
  ];
}

/**
 * Return the lines below a gain, as many as fit: the layer of the gain unless it is the last one, the gain without edits, and the range
 * over seeds, or on a phone the streams. They begin with what the number is where it is the first of its kind.
 * @param {Shown} shown @param {boolean} isFirst whether to explain the number @param {Layout} layout @param {number} run
 * @returns {string[]}
 */
export function linesBelow(shown, isFirst, { bands, form }, run) {
  const { range: spread, reading, peak, unedited } = shown;
  const where = [
    ...(peak && peak < (reading?.layers ?? 0) ? [`at layer ${peak}`] : []),
    ...(unedited ? wrapText(unedited, SMALL, bands[run].gain.room) : []),
  ];
  if (form === 'narrow') return linesOnPhone(shown, isFirst, where, bands, run);
  const { top, bottom } = bands[run];
  const fitting = Math.floor((bottom - top - GAINS[form][0] - BELOW_PX[form] + 8) / ROW_PX);
  const room = 1 + fitting;
  const meaning = isFirst ? [nameGain(shown)] : [];
  const range = spread ? [`${spread.words}:`, `×${spread.low} to ×${spread.high}`] : [];
  const rows = spread && meaning.length + range.length > room ? range : [...meaning, ...range];
  const all = [...meaning, ...where, ...range];
  if (where.length > 0) return all.length <= room ? all : unedited ? where.slice(-room) : rows;
  return isFirst && !spread && rows.length < room ? [...meaning, 'largest over layers'] : rows;
}

/** Return the lines below a gain on a phone, as many as fit above the next gain. @param {Shown} shown @param {boolean} isFirst @param {string[]} where the lines about the gain @param {import('./layout.js').Band[]} bands @param {number} run */
function linesOnPhone(shown, isFirst, where, bands, run) {
  const { top, bottom, gain } = bands[run];
  const next = Math.min(...bands.map((band) => band.gain.y).filter((y) => y > gain.y));
  const room =
    (Number.isFinite(next) ? next - gain.y : bottom - top) - GAINS.narrow[0] / 2 - SMALL / 2 - BELOW_PX.narrow;
  const fitting = (/** @type {number} */ gap) => 1 + Math.floor((room - gap) / ROW_PX);
  const meaning = isFirst && shown.gain !== null ? wrapText(nameGain(shown), SMALL, gain.room) : [];
  const first = [...(meaning.length <= fitting(0) ? meaning : []), ...where];
  const words = describeRun(shown);
  const rows = [...first, ...wrapText(words, SMALL, gain.room)];
  if (rows.length <= fitting(GAP_PX)) return rows;
  const short = [...first, ...words.split(',', 1)];
  return short.length <= fitting(first.length > 0 ? GAP_PX : 0) ? short : first.slice(0, fitting(0));
}

/** Draw the layer numbers below the strips. @param {Layout} layout @returns {Shape[]} */
export function toAxis(layout) {
  const { layers, strips, form } = layout;
  const y = strips.bottom + 12;
  const step = Math.max(1, layers <= 4 ? 1 : tickStep(layers / (MAX_TICKS[form] - 1)));
  const inner = inclusiveRange(1, Math.ceil(layers / step) - 1).map((tick) => tick * step);
  const ticks = inner.filter((tick) => layers - tick >= step / 2);
  const marks = [0, ...ticks, layers];
  return marks.flatMap((layer) => {
    const x = xOf(layout, layer);
    const anchor = layer === 0 ? 'start' : layer === layers ? 'end' : 'middle';
    const text = layer === 0 ? 'layer 0' : String(layer);
    return [
      toLine([x, strips.bottom, x, strips.bottom + 4], 'muted', { opacity: 0.5 }),
      toText(x, y, text, 'muted', { anchor, size: SMALL }),
    ];
  });
}

/** Draw how to read the picture, for images. @param {import('./picture.js').Plan} plan @param {import('./signalfront.js').Moment['leg'] | null} [leg] @returns {Shape[]} */
export function toCaptionLines({ layout: { strips, inside, width }, scale, isFading, isMixed, hasSeeds }, leg = null) {
  const room = (inside && inside.top === 0 ? inside.left : width) - strips.left - 12;
  const rows = wrapText(pictureCaption(scale.kind === 'log', { leg, isFading, isMixed, hasSeeds }), SMALL, room);
  return rows.map((row, index) => toText(strips.left, strips.bottom + 34 + ROW_PX * index, row, 'muted'));
}

/** Return the step between ticks: the wanted one if it is an integer, such as 16 for 64 layers, else a round number near it. @param {number} wanted */
function tickStep(wanted) {
  return Number.isInteger(wanted) ? wanted : niceStep(wanted);
}
