/**
 * What is known of a run without asking: the columns of a spec that differs from a record here in depth, drift or Sinkhorn rounds. A
 * shallower stack is the beginning of a deeper one, and mixing matrices follow from the draws. ADR 8 says what this rests on.
 */

import { createColumns } from '../data/columns.js';
import { depthOf, specOf, trainSteps } from '../data/record.js';
import { THEORY } from '../data/sources.js';
import { addProducts } from './columns.js';
import { mix } from './mixing.js';
import { cutMatrix, putBeginning, takeBeginning } from './prefix.js';

/**
 * @typedef {import('../../types').Columns} Columns
 * @typedef {import('../../types').Matrix} Matrix
 * @typedef {import('../../types').AtOnceRules} AtOnceRules
 * @typedef {{layers: number, noise: number, rounds: number}} Wanted noise and rounds mean nothing for a run that has none
 */

/** What no drift moves, whatever the size of branches. */
const READS = ['h_pre', 'h_post', 'h_read'];

/**
 * The columns of what is wanted, or null where nothing is known. `waits` holds what only a pass can tell.
 * @param {Columns} base a record of a spec that is the same but for depth, drift and rounds
 * @param {Wanted} wanted
 * @param {AtOnceRules} rules
 * @returns {Columns | null}
 */
export function deriveColumns(base, wanted, rules) {
  if (!isUsable(base, rules) || wanted.layers > depthOf(base)) return null;
  const isSame = isSameMixing(base, wanted);
  const begun = isSame ? rules.prefix.filter((key) => keepsLayers(base, wanted, rules, key)) : READS;
  const h_res = isDynamic(base) ? null : isSame ? truncateResidualMixing(base, wanted.layers) : mix(base, wanted, rules.maps);
  if (!h_res && (!isSame || begun.length === 0)) return null;
  const known = createColumns();
  known.start = startOf(base, wanted);
  takeBeginning(known, base, wanted.layers, begun);
  if (h_res) addProducts(known, base, h_res);
  const isDerived = (/** @type {string} */ key) => known.layers.has(key) || known.matrices.has(key) || begun.includes(key);
  known.waits = new Set(keysOf(base).filter((key) => !isDerived(key)));
  if (base.start?.theory?.length) known.waits.add(THEORY);
  return known;
}

/**
 * What is known of a deeper stack: the first layers of what is measured layer by layer on the way up, as if their frames had come. Null
 * where they are others.
 * @param {Columns} base a record of a spec that is the same but for its smaller depth
 * @param {Wanted} wanted
 * @param {AtOnceRules} rules
 * @returns {Columns | null}
 */
export function deriveBeginning(base, wanted, rules) {
  const isSame = isUsable(base, rules) && isSameMixing(base, wanted) && wanted.layers > depthOf(base);
  if (!isSame || rules.depth_scaled.includes(specOf(base)?.block.scaling)) return null;
  const begun = createColumns();
  begun.start = startOf(base, wanted);
  putBeginning(begun, base, wanted.layers, rules.forward);
  return begun;
}

/** Whole, of a stack that does not train, and of the numerics of today. @param {Columns} base @param {AtOnceRules} rules */
function isUsable(base, rules) {
  const isWhole = base.end?.status === 'done' && specOf(base) !== null && trainSteps(base) === 0;
  return isWhole && base.start?.versions.numerics === rules.numerics && !isCoarse(base);
}

/** In bfloat16 the last place of a coefficient, which depends on how many layers are mapped together, moves the third digit of a state. @param {Columns} base */
function isCoarse(base) {
  return specOf(base)?.dtype === 'bfloat16' || connectionOf(base).mapping_dtype === 'bfloat16';
}

/** @param {Columns} base @returns {Record<string, any>} */
const connectionOf = (base) => specOf(base)?.connection;

/** @param {Columns} base */
const isDynamic = (base) => connectionOf(base).dynamic === true;

/** @param {Columns} base @param {number} layers */
function truncateResidualMixing(base, layers) {
  const h_res = base.matrices.get('h_res');
  return h_res ? cutMatrix(h_res, layers) : null;
}

/** Settings that a run does not have change nothing. @param {Columns} base @param {Wanted} wanted */
function isSameMixing(base, { noise, rounds }) {
  const connection = connectionOf(base);
  const isSame = (/** @type {string} */ name, /** @type {number} */ value) =>
    [undefined, value].includes(connection[name]);
  return isSame('noise', noise) && isSame('sinkhorn_iters', rounds);
}

/** Whether a column is the beginning of the base's, to 1e-6: not where layers know how many they are. @param {Columns} base @param {Wanted} wanted @param {AtOnceRules} rules @param {string} key */
function keepsLayers(base, { layers }, { depth_scaled, cka_layers }, key) {
  const spec = specOf(base);
  const isScaled = depth_scaled.includes(spec?.block.scaling) && layers !== depthOf(base);
  if (isScaled) return !isDynamic(base) && READS.includes(key);
  // A sum over all pairs of samples, of which there are fewer in deep stacks. In float32 it is another in its fifth digit whenever other
  // layers are compared together.
  return key !== 'cka' || (spec?.dtype === 'float64' && layers > cka_layers === depthOf(base) > cka_layers);
}

/** @param {Columns} base */
function keysOf({ layers, matrices }) {
  return [...layers.keys(), ...matrices.keys()];
}

/** The start frame as the server will send it, without what is predicted of the run. @param {Columns} base @param {Wanted} wanted */
function startOf(base, { layers, noise, rounds }) {
  const start = /** @type {import('../../types').StartFrame} */ (base.start);
  const { cost: _, theory: __, no_law: ___, ...rest } = start;
  const connection = { ...connectionOf(base) };
  if ('noise' in connection) connection.noise = noise;
  if ('sinkhorn_iters' in connection) connection.sinkhorn_iters = rounds;
  const spec = { ...specOf(base), depth: layers, connection };
  return { ...rest, spec, layers, blocks: start.blocks.slice(0, layers) };
}
