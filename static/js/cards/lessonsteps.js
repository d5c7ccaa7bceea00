/** The story in five steps: what each sets, and what it says, with the numbers of the runs that are shown. No browser here. */

import { formatFixed, formatValue } from '../data/numbers.js';
import { depthOf, seedsOf, specOf } from '../data/record.js';

/** @typedef {import('../../types').Columns} Columns */

const HC = { kind: 'hc' };
const RESIDUAL = { kind: 'residual' };

/**
 * `connections` are those of the runs that a step sets, null for those of the opening; `say` is told in the step.
 * @type {{title: string, connections: Record<string, any>[] | null, say: (runs: Runs, layer: number) => string}[]}
 */
export const STEPS = [
  { title: 'One stream', connections: [RESIDUAL], say: sayOne },
  { title: 'Four streams', connections: [RESIDUAL, { ...HC, noise: 0 }], say: sayFour },
  { title: 'Free mixing explodes', connections: [RESIDUAL, HC], say: sayFree },
  { title: 'Sums of one hold it', connections: [RESIDUAL, HC, { kind: 'mhc' }], say: sayTied },
  { title: 'What four streams keep', connections: null, say: sayKept },
];

export const TITLE = 'Why deep networks went from one stream to four, and then tied them down';

/** What is said where no step is on. @param {Runs} runs */
export function sayWhy(runs) {
  return (
    'A deep network passes a signal from layer to layer. In a ResNet (2015) there is one stream of it, to which every layer adds its result. ' +
    `Hyper-Connections (HC, 2024) carry several streams and let every layer mix them freely: room for more, but the mixings multiply${gainWords(runs.hc, ', and here a signal that all streams share becomes up to')}. ` +
    `Manifold-constrained Hyper-Connections (mHC, 2025) use weights that sum to one${gainWords(runs.mhc, ', and the same signal becomes at most')}.`
  );
}

/** The finished runs of a view, by connection: the first of each kind. @typedef {Record<string, Columns | undefined>} Runs */

/** @param {Columns[]} shown @returns {Runs} */
export function toRuns(shown) {
  /** @type {Runs} */
  const runs = {};
  for (const columns of shown) {
    const kind = specOf(columns)?.connection.kind;
    if (kind && columns.summary && !runs[kind]) runs[kind] = columns;
  }
  return runs;
}

/** @param {Runs} runs */
function sayOne({ residual }) {
  const numbers = numbersOf(residual, 'activation');
  const isWhole = lastOf(residual, 'act_rms') !== null; // else the numbers are of the layers before an overflow
  const sizes =
    numbers && isWhole
      ? ` is ${round(numbers.input_rms)} before the first layer and ${round(10 ** numbers.last_rms_log10)} after the last of ${layersOf(residual)}${ofSeeds(residual)}`
      : ' changes from layer to layer';
  return (
    'A stream is the signal that passes every layer by. A layer reads it, computes attention or an MLP, and adds the result to it. ' +
    `The ribbon is as wide as the signal is large: its size${sizes}. What entered is still in it, times one: this factor is called gain.`
  );
}

/** @param {Runs} runs */
function sayFour({ hc }) {
  const cosine = lastOf(hc, 'stream_cos');
  const alike = cosine === null ? '' : ` Their similarity after the last layer is ${formatFixed(cosine, 2)}.`;
  return (
    'HC starts with copies of the signal. Three small arrays join them in every layer: H_pre says how much the layer reads of each stream, ' +
    'H_post how much of its result it writes to each, and H_res how the streams are exchanged. ' +
    `Before training H_res exchanges nothing and all streams are written alike, so they stay copies.${alike}`
  );
}

/** @param {Runs} runs @param {number} layer from 0 */
function sayFree({ hc }, layer) {
  const [noise, gain] = [specOf(hc ?? /** @type {any} */ ({}))?.connection.noise, valueAt(hc, 'gain_fwd', layer)];
  const numbers = gainsOf(hc);
  const here =
    gain === null || noise === undefined
      ? ''
      : ` (here random numbers of size ${noise} stand for it). In layer ${layer + 1} the weights of one row then sum to ${round(gain)} in magnitude: what all streams share leaves it ${round(gain)} times as large`;
  const product = numbers
    ? ` On the way through ${layersOf(hc)} layers the factors multiply to as much as ${power(numbers.gain_fwd_log10)}, and for the gradient on its way back to ${power(numbers.gain_bwd_log10)}${ofSeeds(hc)}.`
    : '';
  return `Training changes H_res${here}.${product}`;
}

/** @param {Runs} runs */
function sayTied({ mhc }) {
  const numbers = gainsOf(mhc);
  const rounds = specOf(mhc ?? /** @type {any} */ ({}))?.connection.sinkhorn_iters;
  const how = rounds === undefined ? '' : ` (Sinkhorn: divide by the sums of columns and rows, ${rounds} times)`;
  const product = numbers
    ? ` On the way through ${layersOf(mhc)} layers its factor is never above ${power(numbers.gain_fwd_log10)} forward and ${power(numbers.gain_bwd_log10)} backward${ofSeeds(mhc)}.`
    : '';
  return (
    `mHC makes of the same numbers weights above zero, whose rows and columns sum to one${how}. ` +
    `Each stream becomes a weighted mean of the streams, and no mean is larger than the largest part of it.${product}`
  );
}

/** @param {Runs} runs */
function sayKept({ mhc }) {
  const cosine = lastOf(mhc, 'stream_cos');
  const differ =
    cosine === null ? '' : `: their similarity after the last layer is ${formatFixed(cosine, 2)}, where copies have 1`;
  return (
    'While every layer reads and writes all streams alike, they stay copies, and mHC is the residual network. Here each layer reads and writes mainly one of them, ' +
    `in turn, as mHC-lite's public code starts. The streams then hold different things${differ}. One stream can hold only one.`
  );
}

/** @param {Columns | undefined} columns @param {string} before */
function gainWords(columns, before) {
  const numbers = gainsOf(columns);
  return numbers ? `${before} ${power(numbers.gain_fwd_log10)} times as large${ofSeeds(columns)}` : '';
}

/** @param {Columns | undefined} columns @param {string} key @returns {Record<string, any> | undefined} */
const numbersOf = (columns, key) => columns?.summary?.findings.find((finding) => finding.key === key)?.numbers;

/** The largest gains over depth, log10; undefined where they are not known, as after an overflow. @param {Columns | undefined} columns */
function gainsOf(columns) {
  const numbers = numbersOf(columns, 'connection');
  const isKnown = Number.isFinite(numbers?.gain_fwd_log10) && Number.isFinite(numbers?.gain_bwd_log10);
  return isKnown ? numbers : undefined;
}

/** Numbers of several seeds are medians. @param {Columns | undefined} columns */
function ofSeeds(columns) {
  const seeds = columns ? seedsOf(columns) : 1;
  return seeds > 1 ? ` (the median of ${seeds} seeds)` : '';
}

/** @param {Columns | undefined} columns */
const layersOf = (columns) => (columns ? depthOf(columns) : 0);

/** @param {Columns | undefined} columns @param {string} key @param {number} layer @returns {number | null} */
function valueAt(columns, key, layer) {
  const value = /** @type {any} */ (columns?.layers.get(key))?.[layer];
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/** @param {Columns | undefined} columns @param {string} key */
const lastOf = (columns, key) => valueAt(columns, key, layersOf(columns) - 1);

/** @param {number} value */
const round = (value) => formatValue(value, null, undefined, 3);

/** Near to one in as many digits as the headlines of the cards: 1.00 here and 1.003 there would be read as two numbers. @param {number} log10 */
const power = (log10) =>
  Math.abs(log10) < 1 ? formatFixed(10 ** log10, 3) : formatValue(log10 < 5 ? 10 ** log10 : null, log10, undefined, 3);
