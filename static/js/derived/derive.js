/**
 * Derives columns of a run without the server: for a spec that differs from a record on this page in depth, drift, Sinkhorn rounds or edits. A
 * shallower stack equals the first layers of a deeper one unless layers depend on the depth, and mixing matrices follow from the draws. See ADR 8.
 */

import { createColumns } from '../data/columns.js';
import { depthOf, specOf, trainSteps } from '../data/record.js';
import { THEORY } from '../figures/sources.js';
import { addProducts, castOf } from './columns.js';
import { applyEdits, areDerivable } from './edits.js';
import { deriveMixing } from './mixing.js';
import { copyFirstLayers, copyIntoDeeper, sliceLayers } from './prefix.js';

/** @import { Columns, DerivationRules, Edit, Matrix } from '../../types' */
/** @typedef {{layers: number, noise: number, rounds: number, edits?: readonly Edit[]}} Wanted runs without drift or rounds ignore `noise` and `rounds`; `edits`: default those of the record that fit the depth */

/** Metrics that only edited runs have. */
const EFFECTS = ['effect_state', 'effect_grad'];
/** Metrics that depend on neither drift nor branch size. */
const READS = ['h_pre', 'h_post', 'h_read'];

/**
 * Derive the columns of a wanted run, or null if nothing follows. `waits` lists the metrics that need a pass.
 * @param {Columns} base a record whose spec differs only in depth, drift, rounds and edits; edits only if its own has none
 * @param {Wanted} wanted
 * @param {DerivationRules} rules
 * @returns {Columns | null}
 */
export function deriveColumns(base, wanted, rules) {
  return deriveEdited(base, { ...wanted, edits: wanted.edits ?? listFitting(base, wanted) }, rules);
}

/** Derive the columns of a run whose edits are known. @param {Columns} base @param {Wanted & {edits: readonly Edit[]}} wanted @param {DerivationRules} rules @returns {Columns | null} */
function deriveEdited(base, wanted, rules) {
  if (!isUsable(base, rules) || wanted.layers > depthOf(base)) return null;
  const isEdited = !haveSameEdits(base, wanted);
  const isSame = isSameMixing(base, wanted, rules);
  if (isEdited && (isDynamic(base, rules) || editsOf(base).length > 0)) return null;
  if ((isEdited || !isSame) && !areDerivable(wanted.edits)) return null;
  const hasMetric = (/** @type {string} */ key) => wanted.edits.length > 0 || !EFFECTS.includes(key);
  const isBegun = (/** @type {string} */ key) => hasMetric(key) && equalsFirstLayers(base, wanted, rules, key);
  const begun = isSame && !isEdited ? rules.prefix.filter(isBegun) : READS;
  const h_res = isDynamic(base, rules)
    ? null
    : isSame
      ? truncateResidualMixing(base, wanted.layers)
      : deriveMixing(base, wanted, rules.maps);
  if (!h_res && (isEdited || !isSame || begun.length === 0)) return null;
  const known = createColumns();
  known.start = toStartFrame(base, wanted);
  copyFirstLayers(known, base, wanted.layers, begun);
  if (h_res) addProducts(known, base, isEdited || !isSame ? editMixing(known, h_res, wanted, isEdited) : h_res);
  const isDerived = (/** @type {string} */ key) =>
    known.layers.has(key) || known.matrices.has(key) || begun.includes(key);
  known.waits = new Set([...keysOf(base), ...EFFECTS].filter((key) => hasMetric(key) && !isDerived(key)));
  if (base.start?.theory?.length) known.waits.add(THEORY);
  return known;
}

/**
 * Apply the edits of a wanted run to H_res, and to what its layers read and write in known columns.
 * @param {Columns} known
 * @param {Matrix} h_res
 * @param {Wanted & {edits: readonly Edit[]}} wanted
 * @param {boolean} isEdited false where reading and writing have the edits already
 * @returns {Matrix}
 */
function editMixing(known, h_res, { edits }, isEdited) {
  const { matrices } = known;
  const read = matrices.has('h_read') ? 'h_read' : 'h_pre';
  const [h_pre, h_post] = [read, 'h_post'].map((key) => matrices.get(key));
  if (!h_pre || !h_post || edits.length === 0) return h_res;
  const edited = applyEdits({ h_res, h_pre, h_post }, edits, castOf(known));
  if (isEdited) {
    matrices.set(read, edited.h_pre);
    matrices.set('h_post', edited.h_post);
  }
  return edited.h_res;
}

/**
 * Derive the first layers of a deeper stack: the metrics of the forward pass, as if their frames had arrived. Null if the layers differ.
 * @param {Columns} base a record whose spec differs only by a smaller depth
 * @param {Wanted} wanted
 * @param {DerivationRules} rules
 * @returns {Columns | null}
 */
export function deriveBeginning(base, wanted, rules) {
  const isSame = isUsable(base, rules) && isSameMixing(base, wanted, rules) && haveSameEdits(base, wanted);
  if (!isSame || wanted.layers <= depthOf(base) || rules.depth_scaled.includes(specOf(base)?.block.scaling))
    return null;
  const begun = createColumns();
  begun.start = toStartFrame(base, wanted);
  copyIntoDeeper(begun, base, wanted.layers, rules.forward);
  return begun;
}

/** Return whether a record is complete, without training, and of the current numerics. @param {Columns} base @param {DerivationRules} rules */
function isUsable(base, rules) {
  const isComplete = base.end?.status === 'done' && specOf(base) !== null && trainSteps(base) === 0;
  return isComplete && base.start?.versions.numerics === rules.numerics && !isCoarse(base);
}

/** Return whether a run uses bfloat16: the last bit of a coefficient depends on how many layers are mapped together, and changes the third digit of a state. @param {Columns} base */
function isCoarse(base) {
  return specOf(base)?.dtype === 'bfloat16' || connectionOf(base).mapping_dtype === 'bfloat16';
}

/** Return the connection in the spec of a record. @param {Columns} base @returns {Record<string, any>} */
const connectionOf = (base) => specOf(base)?.connection;

/** Return the edits in the spec of a record. @param {Columns} base @returns {Edit[]} */
const editsOf = (base) => specOf(base)?.edits ?? [];

/** List the edits of a record that fit a depth. @param {Columns} base @param {Wanted} wanted */
const listFitting = (base, { layers }) => editsOf(base).filter((edit) => edit.layers[1] < layers);

/** Return whether a wanted run and a record have the same edits in their common layers. Noise is drawn by an edit's place in the list, so the lists must then be equal. @param {Columns} base @param {Wanted} wanted */
function haveSameEdits(base, wanted) {
  const { layers, edits = listFitting(base, wanted) } = wanted;
  const common = Math.min(layers, depthOf(base));
  const [own, other] = [editsOf(base), edits].map((list) => list.filter((edit) => edit.layers[0] < common));
  const isCut = own.length + other.length < editsOf(base).length + edits.length;
  return keyOfEdits(own) === keyOfEdits(other) && !(isCut && own.some((edit) => edit.do === 'noise'));
}

/** Return a key that equal edits share. @param {readonly Edit[]} edits */
const keyOfEdits = (edits) =>
  JSON.stringify(edits.map((edit) => Object.entries(edit).sort(([one], [other]) => (one < other ? -1 : 1))));

/** Return whether the mixing depends on the input. @param {Columns} base @param {DerivationRules} rules */
const isDynamic = (base, { by_token }) =>
  connectionOf(base).dynamic === true || by_token.includes(connectionOf(base).kind);

/** Return H_res of the first layers, or null. @param {Columns} base @param {number} layers */
function truncateResidualMixing(base, layers) {
  const h_res = base.matrices.get('h_res');
  return h_res ? sliceLayers(h_res, layers) : null;
}

/** Return whether the mixing of a layer is that of the record: by drift, by Sinkhorn rounds, and by depth if it depends on it. Settings that the record lacks are ignored. @param {Columns} base @param {Wanted} wanted @param {DerivationRules} rules */
function isSameMixing(base, { layers, noise, rounds }, { by_depth }) {
  const connection = connectionOf(base);
  if (by_depth.includes(connection.kind) && layers !== depthOf(base)) return false;
  const isSame = (/** @type {string} */ name, /** @type {number} */ value) =>
    [undefined, value].includes(connection[name]);
  return isSame('noise', noise) && isSame('sinkhorn_iters', rounds);
}

/** Return whether a column equals the first layers of the base's to 1e-6, which fails if branches are scaled by depth. @param {Columns} base @param {Wanted} wanted @param {DerivationRules} rules @param {string} key */
function equalsFirstLayers(base, { layers }, rules, key) {
  const { depth_scaled, cka_layers } = rules;
  const spec = specOf(base);
  const isScaled = depth_scaled.includes(spec?.block.scaling) && layers !== depthOf(base);
  if (isScaled) return !isDynamic(base, rules) && READS.includes(key);
  // CKA sums over pairs of samples, fewer of them in deep stacks. In float32 its fifth digit depends on which layers are compared together.
  return key !== 'cka' || (spec?.dtype === 'float64' && layers > cka_layers === depthOf(base) > cka_layers);
}

/** List the metrics that the columns of a record have. @param {Columns} base */
function keysOf({ layers, matrices }) {
  return [...layers.keys(), ...matrices.keys()];
}

/** Build the start frame of the derived run as the server will send it, without predictions. @param {Columns} base @param {Wanted} wanted */
function toStartFrame(base, { layers, noise, rounds, edits = editsOf(base) }) {
  const start = /** @type {import('../../types').StartFrame} */ (base.start);
  const { cost: _, theory: __, no_law: ___, ...rest } = start;
  const connection = { ...connectionOf(base) };
  if ('noise' in connection) connection.noise = noise;
  if ('sinkhorn_iters' in connection) connection.sinkhorn_iters = rounds;
  const { edits: _edits, ...settings } = specOf(base) ?? {};
  const spec = { ...settings, depth: layers, connection, ...(edits.length > 0 ? { edits } : {}) };
  return { ...rest, spec, layers, blocks: start.blocks.slice(0, layers) };
}
