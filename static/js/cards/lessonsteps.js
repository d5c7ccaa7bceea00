/**
 * The headline and the sentences of the story. Each sentence states numbers of the runs that are shown, and says only what these numbers
 * support. No browser here.
 */

import { formatFactor, gainOf } from '../data/gain.js';
import { formatFixed } from '../data/numbers.js';
import { depthOf, seedsOf, specOf, trainSteps } from '../data/record.js';

/** @typedef {import('../../types').Columns} Columns */

/** The shown runs by connection, the first of each kind. @typedef {Record<string, Columns | undefined>} Runs */

const HC = { kind: 'hc' };
const RESIDUAL = { kind: 'residual' };

/**
 * `connections` are those of the runs that a step sets, or it names a view: of first-time visitors, or of trained runs.
 * @type {{title: string, connections: Record<string, any>[] | 'opening' | 'trained', say: (runs: Runs) => string}[]}
 */
export const STEPS = [
  { title: 'One stream', connections: [RESIDUAL], say: sayOne },
  { title: 'Four streams', connections: [RESIDUAL, { ...HC, noise: 0 }], say: sayFour },
  { title: 'Free mixing', connections: [RESIDUAL, HC], say: sayFree },
  { title: 'Doubly stochastic mixing', connections: 'opening', say: sayConstrained },
  { title: 'What four streams are good for', connections: 'trained', say: sayBenefit },
];

const COUNTS = ['no', 'one', 'two', 'three', 'four', 'five', 'six'];

/** @param {Columns[]} shown */
export function sayHeadline(shown) {
  if (shown.length === 0) return 'One signal, layer by layer';
  const depths = shown.map(depthOf);
  const [least, most] = [Math.min(...depths), Math.max(...depths)];
  const layers = `${least === most ? '' : `${least} to `}${most} ${most === 1 ? 'layer' : 'layers'}`;
  const kinds = new Set(shown.map((columns) => specOf(columns)?.connection.kind ?? columns));
  if (kinds.size < shown.length) return `One signal, ${layers}, ${shown.length} runs`;
  return `One signal, ${layers}, ${COUNTS[kinds.size] ?? kinds.size} ${kinds.size === 1 ? 'way' : 'ways'} to connect them`;
}

/** By their kind of connection. @param {Columns[]} shown @returns {Runs} */
export function toRuns(shown) {
  /** @type {Runs} */
  const runs = {};
  for (const columns of shown) {
    const kind = specOf(columns)?.connection.kind;
    if (kind && !runs[kind]) runs[kind] = columns;
  }
  return runs;
}

/** What is said where no step is on. @param {Runs} runs */
export function sayClaim(runs) {
  const { hc, mhc } = runs;
  const claims = [hc && sayGrowth(hc), mhc && sayBound(mhc)].filter(Boolean);
  return claims.length > 0 ? claims.join(' ') : sayGains(runs);
}

/** What the reader is asked to do after the last step. @param {Runs} runs */
export function sayTask({ hc }) {
  const gain = hc ? textOf(hc) : null;
  return `Your turn: drag “Drift σ” below the picture and watch HC${gain === null ? '' : `. Its gain is ×${gain} now`}.`;
}

/** @param {Columns} hc */
function sayGrowth(hc) {
  const gain = textOf(hc);
  if (gain === null) return '';
  if (!amplifies(hc)) return `HC does not amplify here: its gain is at most ×${gain}.`;
  return `Free mixing compounds: HC makes a shared signal up to ${gain} times larger.`;
}

/** @param {Columns} mhc */
function sayBound(mhc) {
  const gain = textOf(mhc);
  if (gain === null) return '';
  return isBound(mhc) ? `In mHC rows and columns sum to 1: gain ×${gain}.` : `The gain of mHC is ${bothGains(mhc)}.`;
}

/** @param {Runs} runs */
function sayOne({ residual }) {
  const stream = 'A stream carries the signal past every layer; each layer adds its output to it.';
  // A norm after the addition rescales the input as well.
  const isKept = residual !== undefined && specOf(residual)?.block.norm_position !== 'post';
  return isKept ? `${stream} The input stays, multiplied by 1: its gain.` : stream;
}

/** @param {Runs} runs */
function sayFour({ hc }) {
  const streams = hc?.start?.streams ?? 'several';
  return `HC replaces the one stream by ${streams}: each layer reads a weighted sum (H_pre), mixes the streams (H_res) and writes back (H_post).`;
}

/** @param {Runs} runs */
function sayFree({ hc }) {
  const meaning = 'Gain is how much mixing amplifies a shared signal.';
  const gain = hc ? textOf(hc) : null;
  if (!hc || gain === null) return meaning;
  if (amplifies(hc))
    return `${meaning} Free weights multiply from layer to layer: within ${sayLayers(hc)} HC reaches ×${gain}.`;
  return `${meaning} Over ${sayLayers(hc)} HC stays at or below ×${gain} here.`;
}

/** @param {Runs} runs */
function sayConstrained({ hc, mhc }) {
  const [ours, theirs] = [mhc && textOf(mhc), hc && textOf(hc)];
  const compared = theirs ? `, HC ×${theirs}` : '';
  if (!mhc || !ours) return 'mHC makes every row and column of H_res sum to 1: it averages streams.';
  if (isBound(mhc))
    return `mHC makes every row and column of H_res sum to 1: it averages streams and never amplifies them. Gain ×${ours}${compared}.`;
  return `mHC scales rows and columns of H_res towards a sum of 1, which they do not reach here: gain ${bothGains(mhc)}.`;
}

/** @param {Runs} runs */
function sayBenefit(runs) {
  const { mhc } = runs;
  const loss = sayLosses(runs);
  const cosine = mhc ? lastOf(mhc, 'stream_cos') : null;
  if (!mhc || cosine === null) return loss || 'Several streams can hold different signals; one cannot.';
  const streams = `mHC's ${mhc.start?.streams} streams`;
  const similarity = `(similarity ${formatFixed(cosine, 2)})`;
  const held = cosine > 0.95 ? `${streams} are near copies ${similarity}` : `${streams} differ ${similarity}`;
  return loss
    ? `${loss} ${held}${isNoBetter(runs) ? ': no benefit visible' : ''}.`
    : `${held}. No loss is measured here.`;
}

/** @typedef {{name: string, columns: Columns, loss: number}} Trained */

/** The runs that are trained, residual first. @param {Runs} runs @returns {Trained[]} */
function listTrained({ residual, hc, mhc }) {
  const named = Object.entries({ residual, HC: hc, mHC: mhc });
  return named.flatMap(([name, columns]) =>
    columns?.loss && trainSteps(columns) > 0 ? [{ name, columns, loss: columns.loss }] : [],
  );
}

/** Losses after as many steps; empty where these are not measured. @param {Runs} runs */
function sayLosses(runs) {
  const trained = listTrained(runs);
  const [first, ...others] = trained.map(({ columns }) => trainSteps(columns));
  if (others.length === 0 || others.some((steps) => steps !== first)) return '';
  const losses = trained.map(({ name, loss }) => `${name} ${formatFixed(loss, 2)}`).join(', ');
  const seeds = trained.every(({ columns }) => seedsOf(columns) === 1) ? ' (one seed)' : '';
  return `Loss after ${first} training steps${seeds}: ${losses}.`;
}

/** Whether mHC's loss is not below that of the residual network in the digits that are shown. @param {Runs} runs */
function isNoBetter({ residual, mhc }) {
  if (!residual?.loss || !mhc?.loss) return false;
  return Number(formatFixed(mhc.loss, 2)) >= Number(formatFixed(residual.loss, 2));
}

/** The gain of every run, where the story has nothing to say of them. @param {Runs} runs */
function sayGains(runs) {
  const known = Object.values(runs).flatMap((columns) => {
    const gain = columns && textOf(columns);
    return gain ? [`${specOf(columns)?.connection.kind.replaceAll('_', ' ')} ×${gain}`] : [];
  });
  return known.length > 0 ? `How much mixing amplifies a shared signal: ${known.join(', ')}.` : '';
}

/** @param {Columns} columns */
const bothGains = (columns) => `×${textOf(columns)} forward, ×${textOf(columns, BACKWARD) ?? '–'} backward`;

const BACKWARD = 'composite_gain_bwd';

/** The gain in words; null where it is not known. @param {Columns} columns @param {'composite_gain_bwd'} [key] */
function textOf(columns, key) {
  const gain = gainOf(columns, key);
  return gain === null ? null : formatFactor(gain);
}

/** Log10 of 1.005: gains below are 1.00 in the digits that are shown. */
const ONE = 0.0021661;

/** Whether the mixing amplifies a shared signal. @param {Columns} columns */
const amplifies = (columns) => (gainOf(columns) ?? 0) >= ONE;

/** Whether products of the mixing leave a shared signal and a shared gradient as they are. @param {Columns} columns */
function isBound(columns) {
  return [gainOf(columns), gainOf(columns, BACKWARD)].every((gain) => gain !== null && Math.abs(gain) < ONE);
}

/** @param {Columns} columns */
function sayLayers(columns) {
  const depth = depthOf(columns);
  return depth === 1 ? '1 layer' : `${depth} layers`;
}

/** @param {Columns} columns @param {string} key @returns {number | null} */
function lastOf(columns, key) {
  const value = /** @type {any} */ (columns.layers.get(key))?.[depthOf(columns) - 1];
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}
