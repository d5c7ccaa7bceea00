/** Texts and tables of the picture. No browser here. */

import { formatFixed, inclusiveRange } from '../data/numbers.js';
import { log10Span, logAt, weightsAt } from './reading.js';
import { formatLog } from './scale.js';
import { FADES } from './strip.js';

/** @typedef {import('./picture.js').Shown} Shown @typedef {import('./reading.js').Reading} Reading */

export const TITLE = 'How the signal travels';
export const MEANING =
  'Each ribbon is one stream, a copy of the residual state. A residual network has one stream, HC and mHC have several. ' +
  'Its width is the size of the signal. Lines between ribbons are weights with which layers mix streams.';

/** Describe what the widths and lines of the picture mean, also while a signal runs. @param {boolean} isLog @param {{leg?: import('./signalfront.js').Moment['leg'] | null, isFading?: boolean, isMixed?: boolean, hasSeeds?: boolean}} [more] */
export function pictureCaption(isLog, { leg = null, isFading = false, isMixed = true, hasSeeds = false } = {}) {
  const whose = hasSeeds ? ' Drawn: the first seed.' : '';
  if (leg === 'backward') {
    const width = isLog ? 'the logarithm of the gradient' : 'the gradient';
    return `Ribbon width is ${width}, relative to each run’s gradient after the last layer. All runs have one scale.${whose}`;
  }
  const width = isLog
    ? 'Ribbon width is the logarithm of the signal’s size.'
    : leg
      ? 'Ribbon width is the size of the signal. When a ribbon outgrows the card, all runs are drawn ten times smaller.'
      : `Ribbon width is the signal’s size, to one linear scale.${isFading ? ` Beyond ${FADES.heights} times the height of the card a ribbon fades.` : ''}`;
  return `${width}${isMixed ? ' Thin lines: mixing, dashed where negative.' : ''}${whose}`;
}

/** Describe the weight with which layers mix one stream into another. @param {import('./strip.js').Exchange} exchange */
export function describeExchange({ source, target, weight, from, to }) {
  const where = to - from === 1 ? `layer ${to}` : `layers ${from + 1} to ${to}`;
  return `stream ${source + 1} → ${target + 1}, ${where}: ${formatFixed(weight, 2)}`;
}

/** @type {import('../../types').Panel['help']} */
export const HELP = {
  formula: 'x_{l+1}[i] = Σ_j H_res[i,j] x_l[j] + H_post[i] F(Σ_j H_pre[j] x_l[j])',
  reading:
    'All runs have one scale. A signal that outgrows the card is cut off and turns paler. The large number is the gain: how many times ' +
    'larger mixing can make a signal that all streams share. Inside layer shows what one layer reads, mixes and writes, and below that ' +
    'the product of H_res up to it. Click a stream of the magnified run to cut it; drag an end of the cut to change its layers.',
  symbol: 'x_l[i], H_pre, H_res, H_post',
  source:
    'The metrics act_rms_streams, grad_rms_streams, h_pre (h_read where the branch reads parts apart), h_res, h_post and composite_gain_fwd',
};

/** Describe the large number of a run. @param {Shown} shown */
export const nameGain = ({ isMedian }) => (isMedian ? 'median gain of mixing' : 'gain of the mixing');

const FEW = 6; // sizes that fit into a sentence

/** Describe a run in one sentence, for screen readers, with its numbers at a layer. @param {Shown} shown @param {number} layer from 0 */
export function toSentence(shown, layer) {
  const { label, name = label, reading, gain, peak, unedited, end } = shown;
  if (!reading) return `${name}: ${end ?? 'no layer is computed yet'}`;
  const span = log10Span([reading], 'sizes');
  const streams = reading.streams === 1 ? 'one stream' : `${reading.streams} streams`;
  const sizes = span ? `, sizes from ${formatLog(span[0])} to ${formatLog(span[1])}` : '';
  const where = peak && peak < reading.layers ? ` at layer ${peak}` : '';
  const gains = gain === null ? '' : `, ${nameGain(shown)} ×${gain}${where}${unedited ? `, ${unedited}` : ''}`;
  return `${name}: ${streams}${gains}${sizes}${toLayerWords(reading, layer)}`;
}

/** Describe the sizes of the streams at a layer. @param {Reading} reading @param {number} layer */
function toLayerWords(reading, layer) {
  if (layer >= reading.layers) return '';
  const sizes = [layer, layer + 1].map((position) => sizesAt(reading, position));
  const block = reading.blocks[layer];
  const where = `; at layer ${layer + 1}${block ? `, ${block}` : ''},`;
  if (!sizes[1]) return `${where} no size is known`;
  return `${where} ${sizes[0] ? `from ${sizes[0]} to` : 'it leaves'} ${sizes[1]}`;
}

/** Describe the sizes of all streams at a position; empty if unknown. @param {Reading} reading @param {number} position */
function sizesAt(reading, position) {
  const logs = inclusiveRange(0, reading.streams - 1).map((stream) => logAt(reading, 'sizes', position, stream));
  const texts = logs.filter((log10) => !Number.isNaN(log10)).map(formatLog);
  if (new Set(texts).size <= 1) return texts[0] ?? '';
  if (texts.length <= FEW) return `${texts.slice(0, -1).join(', ')} and ${texts[texts.length - 1]}`;
  const known = logs.filter((log10) => !Number.isNaN(log10));
  return `between ${formatLog(Math.min(...known))} and ${formatLog(Math.max(...known))}`;
}

/**
 * @typedef {{caption: string, head: string[], rows: (string | number)[][]}} Table
 */

/** Build a table of all sizes: one row for the embedding, and one per layer. @param {Shown[]} runs @param {'sizes' | 'gradients'} quantity @param {(log10: number) => string | number} show @returns {Table} */
export function toSizeTable(runs, quantity, show) {
  const known = runs.flatMap(({ label, name = label, reading }) => (reading ? [{ label: name, reading }] : []));
  const columns = known.flatMap(({ label, reading }) =>
    inclusiveRange(0, reading.streams - 1).map((stream) => ({
      title: reading.streams === 1 ? label : `${label}, stream ${stream + 1}`,
      data: inclusiveRange(0, reading.layers).map((position) => show(logAt(reading, quantity, position, stream))),
    })),
  );
  const last = Math.max(0, ...known.map(({ reading }) => reading.layers));
  const rows = inclusiveRange(0, last).map((position) => [
    position === 0 ? 'embedding' : position,
    ...columns.map(({ data }) => data[position] ?? ''),
  ]);
  const caption =
    quantity === 'sizes' ? 'Size of each stream after each layer' : 'Gradient of each stream after each layer';
  return { caption, head: ['after layer', ...columns.map(({ title }) => title)], rows };
}

/** Build a table of weights and sizes of a layer, one row per stream. @param {Shown[]} runs @param {number} layer @param {(value: number) => string | number} show @returns {Table} */
export function toLayerTable(runs, layer, show) {
  const known = runs.flatMap(({ label, name = label, reading }) =>
    reading && layer < reading.layers ? [{ label: name, reading }] : [],
  );
  const most = Math.max(0, ...known.map(({ reading }) => reading.streams));
  const rows = known.flatMap(({ label, reading }) =>
    inclusiveRange(0, reading.streams - 1).map((stream) => toStreamRow(label, reading, layer, stream, most, show)),
  );
  const from = inclusiveRange(1, most).map((source) => `mixes, from ${source}`);
  return {
    caption: `Layer ${layer + 1}`,
    head: ['stream', 'before', 'branch reads', ...from, 'branch writes', 'after'],
    rows,
  };
}

/** Build the row of a stream in the readout of the picture. @param {string} label @param {Reading} reading @param {number} layer @param {number} stream @param {number} most @param {(value: number) => string | number} show */
function toStreamRow(label, reading, layer, stream, most, show) {
  const n = reading.streams;
  const [read, mix, write] = [reading.read, reading.mix, reading.write].map(({ mean, spread }) => ({
    values: weightsAt(mean, layer),
    spreads: weightsAt(spread, layer),
  }));
  const cell = (/** @type {typeof read} */ { values, spreads }, /** @type {number} */ index) => {
    if (!values || index >= values.length) return '';
    const value = show(values[index]);
    return spreads && spreads[index] > 0 && typeof value === 'string' ? `${value} ± ${show(spreads[index])}` : value;
  };
  const isApart = reading.read.mean?.shape.length === 3; // the branch reads parts of a matrix separately
  const mixes = inclusiveRange(0, most - 1).map((source) => (source < n ? cell(mix, stream * n + source) : ''));
  const sizes = [layer, layer + 1].map((position) => formatLog(logAt(reading, 'sizes', position, stream)));
  const name = n === 1 ? label : `${label}, ${stream + 1}`;
  return [name, sizes[0], cell(read, isApart ? stream * n + stream : stream), ...mixes, cell(write, stream), sizes[1]];
}
