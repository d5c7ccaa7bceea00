/**
 * Headline and sentences of the story. Each sentence states numbers of the shown runs, and only what these numbers support. No browser
 * here.
 */

import { formatFactor, formatRunGain, gainOf, ONE, peakLayerOf } from '../data/gain.js';
import { formatFixed } from '../data/numbers.js';
import { depthOf, hasSeveralSeeds, modelOf, specOf } from '../data/record.js';

/** @typedef {import('../../types').Columns} Columns */

/** The shown runs by connection or recorded model, the first of each kind. @typedef {Record<string, Columns | undefined>} Runs */

const HC = { kind: 'hc' };
const RESIDUAL = { kind: 'residual' };

/** The edit of the step about a cut. A record of mHC with it ships (app/mhc_scope/presets/opening.py). @type {import('../../types').Edit} */
const CUT = { layers: [20, 20], what: 'stream', index: 2, do: 'zero' };

/**
 * Steps of the story. `connections` are those of the runs that the step sets, or name a view: the first screen, or trained runs. `edits` are
 * those of the runs of the first screen that have several streams; the step shows these alone. `magnified` is the connection to magnify, if
 * the picture would magnify another one.
 * @type {{title: string, connections: Record<string, any>[] | 'opening' | 'trained', edits?: import('../../types').Edit[], magnified?: string,
 *   describe: (runs: Runs) => string}[]}
 */
export const STEPS = [
  { title: 'One stream', connections: [RESIDUAL], describe: describeOneStream },
  { title: 'Four streams', connections: [RESIDUAL, { ...HC, noise: 0 }], describe: describeFourStreams },
  { title: 'Free mixing', connections: [RESIDUAL, HC], describe: describeFreeMixing },
  { title: 'Doubly stochastic mixing', connections: 'opening', magnified: 'mhc', describe: describeConstrained },
  { title: 'A stream is cut', connections: 'opening', edits: [CUT], magnified: 'mhc', describe: describeCut },
  { title: 'What four streams are good for', connections: 'trained', magnified: 'mhc', describe: describeBenefit },
];

const COUNTS = ['no', 'one', 'two', 'three', 'four', 'five', 'six'];

/** Return what the headline needs of a run; `kind` is its connection, or what is unique to a recording. @param {Columns} columns */
export const toStack = (columns) => ({ depth: depthOf(columns), kind: specOf(columns)?.connection.kind ?? columns });

/** Write the headline above the steps of the story: number of layers, and of connections or runs. @param {{depth: number, kind: unknown}[]} stacks one per run */
export function toHeadline(stacks) {
  if (stacks.length === 0) return 'One signal, layer by layer';
  const depths = stacks.map(({ depth }) => depth);
  const [least, most] = [Math.min(...depths), Math.max(...depths)];
  const layers = `${least === most ? '' : `${least} to `}${most} ${most === 1 ? 'layer' : 'layers'}`;
  const kinds = new Set(stacks.map(({ kind }) => kind));
  if (kinds.size < stacks.length) return `One signal, ${layers}, ${stacks.length} runs`;
  return `One signal, ${layers}, ${COUNTS[kinds.size] ?? kinds.size} ${kinds.size === 1 ? 'way' : 'ways'} to connect them`;
}

/** Index runs by their kind of connection, and recordings by the name of the model; the first run of a kind counts. @param {Columns[]} shown @returns {Runs} */
export function toRuns(shown) {
  /** @type {Runs} */
  const runs = {};
  for (const columns of shown) {
    const kind = specOf(columns)?.connection.kind ?? modelOf(columns);
    if (kind && !runs[kind]) runs[kind] = columns;
  }
  return runs;
}

const MHC = 'Manifold-Constrained Hyper-Connections (mHC)';

/** Describe the gains of HC and mHC in a sentence, which the page shows while no step of the story is chosen. @param {Runs} runs */
export function describeClaim(runs) {
  const growth = runs.hc ? describeGrowth(runs.hc) : '';
  const bound = runs.mhc ? describeBound(runs.mhc) : '';
  if (!growth && !bound) return describeGains(runs);
  const ends = bound && `${MHC} ${growth ? '' : 'have a gain of '}${bound}`;
  return `${[growth, ends].filter(Boolean).join(', ')}.`;
}

/** Describe the task for the reader after the last step of the story. @param {Runs} runs */
export function describeTask({ hc }) {
  const gain = hc ? formatKnownGain(hc) : null;
  return `Your turn: drag “Drift σ” below the picture and watch HC${gain === null ? '' : `. Its gain is ×${gain} now`}.`;
}

/** Describe the gain of HC; empty if unknown. @param {Columns} hc */
function describeGrowth(hc) {
  const gain = formatKnownGain(hc);
  if (gain === null) return '';
  if (!amplifies(hc)) return `Hyper-Connections (HC) do not amplify here: gain at most ×${gain}`;
  return `Hyper-Connections (HC) amplify a shared signal up to ×${gain}`;
}

/** Describe the gains of mHC: one number if both are 1; empty if unknown. @param {Columns} mhc */
function describeBound(mhc) {
  const gain = formatKnownGain(mhc);
  if (gain === null) return '';
  return isBound(mhc) ? `×${gain}` : formatBothGains(mhc);
}

/** Write the story's sentence about a single stream: each layer adds its output to it. @param {Runs} runs */
function describeOneStream({ residual }) {
  const stream = 'A stream carries the signal past every layer.';
  // A norm after the addition rescales the input as well.
  if (!residual || specOf(residual)?.block.norm_position === 'post')
    return `${stream} Each layer adds its output to the one stream.`;
  const growth = grows(residual) ? ', so the ribbon widens' : '';
  return `${stream} Each layer adds its output${growth}. The input stays unchanged: gain 1.`;
}

/** Write the story's sentence about the weights with which HC reads, mixes and writes several streams. @param {Runs} runs */
function describeFourStreams({ hc }) {
  const streams = hc?.start?.streams ?? 'several';
  if (streams === 1)
    return 'Hyper-Connections (HC) with 1 stream have nothing to mix. Raise “Streams” below the picture.';
  return `Hyper-Connections (HC) use ${streams} streams, not one: layers read their weighted sum (H_pre), can mix them (H_res), and add to each (H_post).`;
}

/** Write the story's sentence about the gain of HC, whose mixing has no constraint. @param {Runs} runs */
function describeFreeMixing({ hc }) {
  const meaning = 'Gain is how much mixing amplifies a shared signal.';
  const gain = hc ? formatKnownGain(hc) : null;
  if (!hc || gain === null) return meaning;
  if (!amplifies(hc)) return `${meaning} Over ${formatLayers(hc)} HC stays at or below ×${gain} here.`;
  const layer = largestLayerGain(hc);
  if (layer === null) return `${meaning} Over ${formatLayers(hc)} HC reaches ×${gain} here.`;
  return `${meaning} HC's free weights multiply: one layer reaches ×${layer}, layers 1 to ${peakLayerOf(hc)} together ×${gain}.`;
}

/** Write the story's sentence about the gain of doubly stochastic mixing. @param {Runs} runs */
function describeConstrained({ hc, mhc }) {
  const [ours, theirs] = [mhc && formatKnownGain(mhc), hc && formatKnownGain(hc)];
  const compared = theirs ? `, HC ×${theirs}` : '';
  if (!mhc || !ours) return `${MHC} constrain H_res: weights ≥ 0, rows and columns that sum to 1.`;
  if (isBound(mhc))
    return `${MHC} only average streams: H_res ≥ 0, rows and columns sum to 1. So gain stays ×${ours}${compared}.`;
  return `${MHC} scale rows and columns of H_res towards a sum of 1, not reached here: gain ${formatBothGains(mhc)}.`;
}

/** Write the story's sentence about a cut: how far the states after it are from those without it. @param {Runs} runs */
function describeCut({ hc, mhc }) {
  const [cut] = hc ? (specOf(hc)?.edits ?? []) : [];
  const effects = [hc, mhc].map((columns) => columns?.layers.get('effect_state'));
  const layer = cut?.layers[0];
  const [ours, theirs] = effects.map((effect) => (effect && layer !== undefined ? Number(effect[layer]) : NaN));
  if (cut?.what !== 'stream' || cut.do !== 'zero' || !Number.isFinite(ours + theirs))
    return 'A stream that is cut is 0 where it enters a layer. Later layers write to it again.';
  const isReduced = effects.every((effect, run) => Number(effect?.[effect.length - 1]) < [ours, theirs][run]);
  const where = `Stream ${cut.index + 1} is cut at layer ${layer + 1}`;
  const isFirst = hc !== undefined && hasSeveralSeeds(hc); // of several seeds
  const more = isReduced && !isFirst ? ' Later layers reduce both.' : '';
  return `${where}: the state${isFirst ? ' of the first seed' : ''} differs by ${toShare(ours)} in HC, ${toShare(theirs)} in mHC.${more}`;
}

/** Format a relative distance in percent. @param {number} effect */
const toShare = (effect) => `${formatFixed(100 * effect, 0)} %`;

/** Describe the benefit of several streams: validation losses of docs/drift.md, and reports by others. */
function describeBenefit() {
  return 'We measured no benefit of four streams: at equal compute, one had lower loss in all 12 comparisons. The papers report benefits for LLMs.';
}

/** Describe the gain of each run in one sentence, where the story of residual, HC and mHC does not fit the shown connections. @param {Runs} runs */
function describeGains(runs) {
  const known = Object.entries(runs).flatMap(([kind, columns]) => {
    const gain = columns && gainOf(columns);
    if (!columns || typeof gain !== 'number') return [];
    return [
      `${specOf(columns) ? kind.replaceAll('_', ' ') : `recording of ${kind}`} ${formatRunGain(gain, columns.start?.streams)}`,
    ];
  });
  return known.length > 0 ? `How much mixing amplifies a shared signal: ${known.join(', ')}.` : '';
}

/** Format the gains forward and backward of a run. @param {Columns} columns */
const formatBothGains = (columns) =>
  `×${formatKnownGain(columns)} forward, ×${formatKnownGain(columns, BACKWARD) ?? '–'} backward`;

const BACKWARD = 'composite_gain_bwd';

/** Format a gain; null if unknown. @param {Columns} columns @param {'composite_gain_bwd'} [key] */
function formatKnownGain(columns, key) {
  const gain = gainOf(columns, key);
  return gain === null ? null : formatFactor(gain);
}

/** Return whether the mixing amplifies a shared signal. @param {Columns} columns */
const amplifies = (columns) => (gainOf(columns) ?? 0) >= ONE;

/** Return whether a run's gains are 1 forward and backward. @param {Columns} columns */
function isBound(columns) {
  return [gainOf(columns), gainOf(columns, BACKWARD)].every((gain) => gain !== null && Math.abs(gain) < ONE);
}

/** Return whether the signal is larger at the last layer than at the first; false if unknown. @param {Columns} columns */
function grows(columns) {
  const sizes = logsOf(columns, 'act_rms');
  return sizes[depthOf(columns) - 1] > sizes[0];
}

/** Format the largest gain of one layer; null if the product is not larger, or for several seeds. @param {Columns} columns */
function largestLayerGain(columns) {
  const most = Math.max(...logsOf(columns, 'gain_fwd'));
  if (!Number.isFinite(most) || columns.bands.has('composite_gain_fwd')) return null;
  const text = formatFactor(most);
  return most < (gainOf(columns) ?? 0) && text !== formatKnownGain(columns) ? text : null;
}

/** Return log10 of a metric over layers. @param {Columns} columns @param {string} key */
const logsOf = ({ log10 }, key) => Array.from(/** @type {Float64Array} */ (log10.get(key) ?? []));

/** Format the depth for a sentence of the story. @param {Columns} columns */
function formatLayers(columns) {
  const depth = depthOf(columns);
  return depth === 1 ? '1 layer' : `${depth} layers`;
}
