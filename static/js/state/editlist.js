/**
 * Edits of a view: interventions that runs share. A view holds them as one text, such as `stream:2:zero:20-39,stream:2:restore:40`, which is
 * also how the address shows them: streams, rows, entries and layers count from 1. `off:` in front switches an edit off. No browser here.
 */

import { formatValue, inclusiveRange } from '../data/numbers.js';

/** @typedef {import('../../types').Edit} Edit @typedef {import('../../types').EditRules} EditRules */
/** The stack that edits must fit: layers, streams, and whether it has mixing, several streams, and parts of the width as streams; over depth whether sources are weighed after each layer or each block, how many layers make a source, and whether only full blocks are one. @typedef {{depth: number, streams: number, has_mixing: boolean, weighs_after: 'layer' | 'block' | null, has_streams: boolean, has_parts: boolean, block: number, has_full_blocks: boolean}} Stack */

export const EDITS = 'edits';
/** The panel, and the finding, about what edits do to a run. */
export const EFFECT = 'effect';
/** The card of the atlas in an address. */
export const ATLAS = 'atlas';
/** Ways of cutting in an atlas, by their keys in an address: what they do to streams, or to branches where none are mixed; or to sources. */
export const CUTS = /** @type {Record<string, {title: string, act: string, isOfSources?: boolean}>} */ ({
  zero: { title: 'cut', act: 'zero' },
  mean: { title: 'mean over tokens', act: 'mean' },
  identity: { title: 'no mixing', act: 'identity' },
  source: { title: 'source cut', act: 'zero', isOfSources: true },
});
const OFF = 'off';
/** The edit of the weights over depth. */
const SOURCE = 'source';
/** Number of digits beyond which a number in a sentence is rounded. */
const DIGITS = 3;

/** What can be edited how, and what each edit needs; the server sends it with the page. @type {EditRules} */
export const editRules = { does: {}, needs: {}, mixed: [], most: 0, entries: 0 };

/** Encode edits as text. @param {readonly Edit[]} edits */
export const toEditsText = (edits) => edits.map(toEditText).join(',');

/** Encode one edit for the hash of an address. @param {Edit} edit */
function toEditText(edit) {
  const { layers, what, index, do: act, isOff } = edit;
  const [first, last] = layers.map((layer) => layer + 1);
  const argument = argumentOf(edit);
  return [
    ...(isOff ? [OFF] : []),
    what,
    ...(index === undefined ? [] : [index + 1]),
    act,
    ...(argument === null ? [] : [argument]),
    first === last ? first : `${first}-${last}`,
  ].join(':');
}

/** Return the argument of an edit as text; null if it has none. @param {Edit} edit */
function argumentOf({ value, other, values, k }) {
  if (other !== undefined) return String(other + 1);
  if (values !== undefined) return values.join('_');
  return value !== undefined ? String(value) : k !== undefined ? String(k) : null;
}

/** Decode the edits of a text; null if one is not valid. @param {string} text @returns {Edit[] | null} */
export function readEdits(text) {
  if (text === '') return [];
  const edits = text.split(',').map(readEdit);
  return edits.length <= editRules.most && edits.every((edit) => edit !== null) ? edits : null;
}

/** Decode the edits of a view, whose text is valid. @param {string} text @returns {Edit[]} */
export const listEdits = (text) => readEdits(text) ?? [];

/** Decode the edits of a view that are switched on. @param {string} text */
export const listActive = (text) => listEdits(text).filter(({ isOff }) => !isOff);

/** Decode one edit; null if it is not valid. @param {string} text @returns {Edit | null} */
function readEdit(text) {
  const parts = text.split(':');
  const isOff = parts[0] === OFF && parts.shift() === OFF;
  const what = parts.shift() ?? '';
  const index = /^\d+$/.test(parts[0] ?? '') ? readOrdinal(parts.shift()) : undefined;
  const act = parts.shift() ?? '';
  const need = Object.keys(editRules.needs).find((name) => editRules.needs[name].includes(act));
  const argument = need ? readArgument(need, parts.shift() ?? '') : {};
  const layers = readLayers(parts.shift() ?? '');
  const isKnown = editRules.does[what]?.includes(act) && parts.length === 0;
  if (!isKnown || index === null || argument === null || layers === null) return null;
  const edit = { layers, what, ...(index === undefined ? {} : { index }), do: act, ...argument };
  return isValid(edit) ? { ...edit, ...(isOff ? { isOff } : {}) } : null;
}

/** Return whether an edit has an index where it needs one, and none where it cannot have one. @param {Edit} edit */
export function isValid({ what, do: act, index }) {
  const isVector = ['h_pre', 'h_post', SOURCE].includes(what);
  const isWhole = ['state', 'branch'].includes(what) || (act === 'top_k' && isVector);
  return index === undefined ? what !== 'stream' && act !== 'swap' : !isWhole;
}

/** Decode a number that counts from 1; null if it is not valid. @param {string | undefined} text */
function readOrdinal(text) {
  const number = Number(text);
  return Number.isInteger(number) && number >= 1 ? number - 1 : null;
}

/** Decode the first and last layer of an edit. @param {string} text @returns {[number, number] | null} */
function readLayers(text) {
  const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? [];
  const ends = [readOrdinal(first), readOrdinal(last)];
  return ends[0] !== null && ends[1] !== null && ends[0] <= ends[1] ? [ends[0], ends[1]] : null;
}

/** Decode the argument of an edit; null if it is not valid. @param {string} need @param {string} text @returns {Partial<Edit> | null} */
function readArgument(need, text) {
  if (need === 'other' || need === 'k') {
    const number = readOrdinal(text);
    return number === null ? null : { [need]: need === 'k' ? number + 1 : number };
  }
  const numbers = text.split('_').map((part) => (part.trim() === '' ? NaN : Number(part)));
  if (!numbers.every(Number.isFinite) || numbers.length > editRules.entries) return null;
  if (need === 'values') return { values: numbers };
  return numbers.length === 1 ? { value: numbers[0] } : null;
}

/** Return the edits of a text as the spec of a run has them: those that are on and fit its stack. @param {string} text @param {Stack} stack */
export function toSpecEdits(text, stack) {
  return listEdits(text)
    .filter((edit) => !edit.isOff && whyNot(edit, stack) === '')
    .map(({ isOff: _, ...edit }) => edit);
}

/** Build the text of the edits in a spec. @param {any[]} edits as sent or stored; null stands for nothing @returns {string} */
export function fromSpecEdits(edits) {
  return toEditsText(
    edits.map(
      (edit) => /** @type {Edit} */ (Object.fromEntries(Object.entries(edit).filter(([, value]) => value !== null))),
    ),
  );
}

/** Say why a stack cannot have an edit, after the name of the run; empty if it can. @param {Edit} edit @param {Stack} stack */
export function whyNot(edit, stack) {
  const { what, layers, k = 0 } = edit;
  const most = Math.max(edit.index ?? 0, edit.other ?? 0);
  if (!stack.has_mixing && what !== 'branch' && what !== SOURCE) return 'does not mix streams';
  if (what === SOURCE && stack.weighs_after === null) return 'does not weigh earlier outputs';
  if (editRules.mixed.includes(what) && !stack.has_streams) return 'has no mixing matrix';
  if (layers[1] >= stack.depth) return stack.depth === 1 ? 'has one layer' : `has ${stack.depth} layers`;
  if (what === SOURCE) return whyNoSource(edit, stack, Math.max(most + 1, k));
  if (most >= stack.streams || k > stack.streams)
    return stack.streams === 1 ? 'has one stream' : `has ${stack.streams} streams`;
  if (edit.values && edit.values.length !== countValues(edit, stack)) return `has ${stack.streams} streams`;
  return '';
}

/** Say why a stack cannot have an edit of its weights over depth that needs so many sources; empty if it can. @param {Edit} edit @param {Stack} stack @param {number} needed */
function whyNoSource({ layers: [first, last], index, values }, stack, needed) {
  if (first === 0) return 'reads the embedding alone at layer 1';
  const counts = [first, last].map((layer) => countSources(layer, stack));
  if (counts[0] === 0) return `weighs no sources at layer ${first + 1}`;
  const isUnequal = values && index === undefined && counts[0] !== counts[1];
  if (needed > counts[0] || isUnequal || (values && values.length !== (index === undefined ? counts[0] : 1)))
    return `weighs ${counts[0]} ${counts[0] === 1 ? 'source' : 'sources'} at layer ${first + 1}`;
  return '';
}

/** Count the sources that a layer weighs. Counterpart: `count_entries` of `mhc_core/spec/edit.py`. @param {number} layer from 0 @param {Stack} stack */
function countSources(layer, { weighs_after, block, has_full_blocks }) {
  if (weighs_after === 'block' && layer % block !== 0) return 0;
  return 1 + (has_full_blocks ? Math.floor(layer / block) : Math.ceil(layer / block));
}

/** Count what can be cut in all layers of a stack: streams, sources, or one output of a branch each. @param {string} what @param {Stack} stack */
export function countParts(what, stack) {
  if (what !== SOURCE) return stack.depth * (what === 'branch' ? 1 : stack.streams);
  const layers = inclusiveRange(1, stack.depth - 1);
  return layers.reduce((count, layer) => count + countSources(layer, stack), 0);
}

/** Count the numbers that an edit sets. @param {Edit} edit @param {Stack} stack */
function countValues({ what, index }, { streams, has_parts }) {
  const isMatrix = what === 'h_res' || (what === 'h_pre' && has_parts);
  return (isMatrix ? streams : 1) * (index === undefined ? streams : 1);
}

/** @type {Record<string, string>} */
const SYMBOLS = { h_pre: 'H_pre', h_post: 'H_post', h_res: 'H_res' };
/** @type {Record<string, string>} */
const PARTS = { stream: 'stream', h_res: 'row', source: 'source' };

/** Describe an edit in words; layers, streams, rows and entries count from 1. Counterpart: `mhc_core/findings/edits.py`. @param {Edit} edit */
export const describeEdit = (edit) => `${nameTarget(edit)} ${describeAct(edit)} ${describeLayers(edit.layers)}`;

/** Name what an edit changes. @param {Edit} edit */
function nameTarget({ what, index }) {
  if (what === 'stream') return `Stream ${Number(index) + 1}`;
  if (what === 'state') return 'The state of all streams';
  if (what === 'branch') return 'The branch’s output';
  if (what === SOURCE && index === undefined) return 'The weighting over depth';
  if (what === SOURCE) return `The weight of ${index === 0 ? 'the embedding' : `source ${Number(index) + 1}`}`;
  const part = nameOfPart(what);
  return index === undefined
    ? SYMBOLS[what]
    : `${part[0].toUpperCase()}${part.slice(1)} ${index + 1} of ${SYMBOLS[what]}`;
}

/** Name one part of what is edited. @param {string} what */
const nameOfPart = (what) => PARTS[what] ?? 'entry';

/** Describe what an edit does. @param {Edit} edit */
function describeAct({ what, do: act, value = 0, other = 0, k }) {
  const isSignal = ['stream', 'state', 'branch'].includes(what);
  /** @type {Record<string, string>} */
  const acts = {
    zero: what === 'stream' || what === 'state' ? 'is cut' : 'is set to 0',
    identity: 'is replaced by the identity',
    mean: 'is replaced by its mean over tokens',
    uniform: what === 'stream' ? 'is replaced by the mean of all streams' : 'is made uniform',
    scale: `is multiplied by ${formatShort(value)}`,
    set: 'is set to given values',
    swap: `is exchanged with ${what === SOURCE ? 'that of ' : ''}${nameOfPart(what)} ${other + 1}`,
    noise: `gets noise of ${formatShort(value)}${isSignal ? ' times its rms' : ''}`,
    freeze: 'is as in the run without edits',
    restore: 'is restored',
    top_k: `keeps its ${k} largest entries${what === 'h_res' ? ' in each row' : ''}`,
  };
  return acts[act];
}

/** Name what can be edited, in a list of choices. @param {string} what */
export const nameWhat = (what) =>
  ({ stream: 'one stream', state: 'all streams', branch: 'branch output', source: 'source over depth' })[what] ??
  SYMBOLS[what];

/** Name what an edit does, in a list of choices. @param {string} what @param {string} act */
export function nameAct(what, act) {
  /** @type {Record<string, string>} */
  const names = {
    zero: what === 'stream' || what === 'state' ? 'cut' : 'set to 0',
    identity: 'replace by the identity',
    mean: 'mean over tokens',
    uniform: what === 'stream' || what === 'state' ? 'mean of all streams' : 'make uniform',
    scale: 'multiply',
    swap: 'exchange',
    noise: 'add noise',
    freeze: 'as in the run without edits',
    restore: 'restore',
    top_k: 'keep the largest',
  };
  return names[act] ?? act;
}

/** Describe a range of layers. @param {[number, number]} layers */
export const describeLayers = ([first, last]) =>
  first === last ? `at layer ${first + 1}` : `at layers ${first + 1} to ${last + 1}`;

/** Format a number of an edit. @param {number} value */
const formatShort = (value) => String(Number(value.toPrecision(DIGITS)));

/** Shorten edits to a few words: the first by its name, more by their number. Counterpart: `shorten_edits` of `mhc_core/findings/edits.py`. @param {readonly Edit[]} edits */
export function shortenEdits(edits) {
  if (edits.length === 0) return 'no edits';
  return edits.length === 1 ? shortenEdit(edits[0]) : `${shortenEdit(edits[0])} (+${edits.length - 1})`;
}

/** Shorten an edit to a few words, such as `cut stream 2, layer 20`. @param {Edit} edit */
function shortenEdit(edit) {
  const [first, last] = edit.layers.map((layer) => layer + 1);
  return `${shortenAct(edit)}, ${first === last ? `layer ${first}` : `layers ${first}–${last}`}`;
}

/** Format a number of a short name, as the server does. @param {number} value */
const formatRounded = (value) => formatValue(value, null, undefined, DIGITS);

/** Shorten what an edit does, and to what. @param {Edit} edit */
function shortenAct(edit) {
  const { what, index, do: act, value = 0, other = 0, k } = edit;
  const isState = what === 'stream' || what === 'state';
  const target = shortenTarget(edit);
  /** @type {Record<string, string>} */
  const acts = {
    zero: isState ? `cut ${target}` : `${target} = 0`,
    identity: index === undefined ? 'identity' : `${target} = identity`,
    mean: `${target} = mean over tokens`,
    uniform: isState ? `${target} = mean of streams` : `uniform ${target}`,
    scale: `${target} × ${formatRounded(value)}`,
    set: `${target} set`,
    swap: `swap ${target} with ${other + 1}`,
    noise: `noise ${formatRounded(value)} on ${target}`,
    freeze: `freeze ${target}`,
    restore: `restore ${target}`,
    top_k: `top ${k} of ${target}`,
  };
  return acts[act];
}

/** Name what an edit changes, in a few words. @param {Edit} edit */
function shortenTarget({ what, index }) {
  if (what === 'state') return 'all streams';
  if (what === 'branch') return index === undefined ? 'branch' : `head ${index + 1}`;
  if (index === undefined) return what === SOURCE ? 'all sources' : SYMBOLS[what];
  if (what === SOURCE && index === 0) return 'embedding';
  const part = `${nameOfPart(what)} ${index + 1}`;
  return what in SYMBOLS ? `${part} of ${SYMBOLS[what]}` : part;
}

/**
 * Write for each run, as a label, the edits that other runs lack. If a run has no others than the shared ones, its label names those, and the
 * labels of the other runs begin with `+`.
 * Counterpart: `distinguish_edits` of `mhc_core/findings/edits.py`.
 * @param {readonly (readonly Edit[])[]} runs
 */
export function distinguishEdits(runs) {
  const texts = runs.map((edits) => edits.map(toEditText));
  const isShared = (/** @type {string} */ text) => texts.every((own) => own.includes(text));
  const own = runs.map((edits) => edits.filter((edit) => !isShared(toEditText(edit))));
  const isAdded = own.some((left, run) => left.length === 0 && runs[run].length > 0);
  return runs.map((edits, run) => {
    if (own[run].length === 0) return shortenEdits(edits);
    return `${isAdded ? '+ ' : ''}${shortenEdits(own[run])}`;
  });
}

/** Describe all edits, joined by semicolons. @param {readonly Edit[]} edits */
export const describeEdits = (edits) => edits.map(describeEdit).join('; ') || 'no edits';

/** Return edits with an edit of a stream at one layer added, or removed where it is there. @param {readonly Edit[]} edits @param {'zero' | 'restore'} act @param {number} stream @param {number} layer @returns {Edit[]} */
export function toggleEdit(edits, act, stream, layer) {
  const at = edits.findIndex(
    ({ what, do: done, index, layers: [first, last] }) =>
      what === 'stream' && done === act && index === stream && first <= layer && layer <= last,
  );
  if (at >= 0) return edits.toSpliced(at, 1);
  return [...edits, { layers: [layer, layer], what: 'stream', index: stream, do: act }];
}

/** Set the layers of an edit, in order. @param {readonly Edit[]} edits @param {number} place @param {number} first @param {number} last @returns {Edit[]} */
export function moveEdit(edits, place, first, last) {
  return edits.map((edit, other) =>
    other === place ? { ...edit, layers: [Math.min(first, last), Math.max(first, last)] } : edit,
  );
}

const ROW_ACTS = ['set', 'uniform', 'identity'];

/** Count the last edits that change every entry of a row of H_res at one layer. @param {readonly Edit[]} edits @param {number} layer @param {number} row */
function countOfRow(edits, layer, row) {
  const isOfRow = (/** @type {Edit} */ { what, index, do: act, layers, isOff }) =>
    what === 'h_res' && index === row && ROW_ACTS.includes(act) && layers.every((at) => at === layer) && !isOff;
  return edits.length - 1 - edits.findLastIndex((edit) => !isOfRow(edit));
}

/** Return edits with one that changes a whole row of H_res at a layer. It replaces edits of this row at the end of the list, which have no effect then; a uniform row keeps them, because it has their sum. @param {readonly Edit[]} edits @param {number} layer @param {number} row @param {{do: string, values?: number[]}} part @returns {Edit[]} */
export function withRow(edits, layer, row, part) {
  const count = part.do === 'uniform' ? 0 : countOfRow(edits, layer, row);
  return [...edits.slice(0, edits.length - count), { layers: [layer, layer], what: 'h_res', index: row, ...part }];
}

/** Return edits that set an entry of H_res at a layer. If the row was drawn before its last edits were applied, they are applied first. @param {readonly Edit[]} edits @param {number} layer @param {number} row @param {number} column @param {number} value @param {number[]} shown the row as it is drawn @returns {Edit[]} */
export function withEntry(edits, layer, row, column, value, shown) {
  const last = edits.slice(edits.length - countOfRow(edits, layer, row));
  const values = last.reduce((entries, edit) => editRow(edit, row, entries), shown);
  return withRow(edits, layer, row, { do: 'set', values: values.with(column, value) });
}

/** Return a row of H_res after an edit of all its entries. Counterpart: `editEntries` of static/js/derived/edits.js. @param {Edit} edit @param {number} row @param {number[]} entries @returns {number[]} */
function editRow({ do: act, values }, row, entries) {
  const mean = entries.reduce((sum, entry) => sum + entry, 0) / entries.length;
  return (
    values ?? entries.map((_, column) => (act === 'uniform' ? Number(mean.toPrecision(6)) : Number(column === row)))
  );
}

/** List the cuts of streams that nothing restores later, by place. @param {readonly Edit[]} edits */
export function listOpenCuts(edits) {
  return inclusiveRange(0, edits.length - 1).filter((place) => {
    const { what, do: act, index, layers } = edits[place];
    const isRestored = edits.some(
      (other) =>
        other.what === 'stream' && other.do === 'restore' && other.index === index && other.layers[0] > layers[1],
    );
    return what === 'stream' && act === 'zero' && !isRestored;
  });
}
