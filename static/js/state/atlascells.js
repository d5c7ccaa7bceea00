/** The atlas on the page: which cells it has, what each of them is in words, and the edit that it stands for. No browser here. */

import { formatValue, inclusiveRange } from '../data/numbers.js';
import { CUTS, describeEdit } from './editlist.js';

/** @typedef {import('../../types').Atlas} Atlas @typedef {import('../../types').Edit} Edit */
/** A cell: run, stream and layer, from 0. @typedef {{run: number, stream: number, layer: number}} Cell */
/** The atlas of a run of the view, under its label. @typedef {{run: number, label: string, atlas: Atlas}} Part */

const SOURCE = 'source';
const BRANCH = 'branch';
const LOSS_DIGITS = 3;
const DECADES = 2; // of effects over the colours

/** Return the effect of a way of cutting by layer and stream; null if the atlas has none. @param {Atlas} atlas @param {string} act */
export function effectsOf(atlas, act) {
  const place = findCut(atlas, act);
  return place < 0 ? null : (atlas.effect_last?.[place] ?? null);
}

/** Return the index of a way of cutting in the arrays of an atlas; -1 if it has none. @param {Atlas} atlas @param {string} key of the way of cutting */
function findCut({ cuts }, key) {
  const { act, isOfSources = false } = CUTS[key];
  return cuts.findIndex(({ what, do: own }) => own === act && (what === SOURCE) === isOfSources);
}

/** Return the largest effect of a way of cutting over all runs; 0 if none is known. @param {Part[]} parts @param {string} act */
export function largestEffect(parts, act) {
  const all = parts.flatMap(({ atlas }) => (effectsOf(atlas, act) ?? []).flat());
  return Math.max(0, ...all.filter((value) => value !== null));
}

/** Return the position of an effect on the colour scale, from 0 to 1: logarithmic, because runs differ by decades. @param {number} effect @param {number} most the largest effect */
export function toPlace(effect, most) {
  if (effect <= 0 || most <= 0) return 0;
  return Math.min(1, Math.max(0, 1 + Math.log10(effect / most) / DECADES));
}

/** Return the effect at the lower end of the colour scale. @param {number} most the largest effect */
export const leastShown = (most) => most / 10 ** DECADES;

/** Build the edit of a cell; null if the atlas lacks this way of cutting. @param {Atlas} atlas @param {string} act @param {Cell} cell @returns {Edit | null} */
export function toEdit(atlas, act, { stream, layer }) {
  const cut = atlas.cuts[findCut(atlas, act)];
  if (!cut) return null;
  return { layers: [layer, layer], what: cut.what, ...(cut.what === BRANCH ? {} : { index: stream }), do: cut.do };
}

/** Return whether an edit includes the cut of a cell. @param {Edit} edit @param {Edit} cell */
export function includesCell(edit, cell) {
  const [first, last] = edit.layers;
  const isSame = edit.what === cell.what && edit.index === cell.index && edit.do === cell.do;
  return isSame && first <= cell.layers[0] && cell.layers[0] <= last;
}

/** Describe a cell of the atlas: its cut and its effect. @param {Part} part @param {string} act @param {Cell} cell */
export function describeCell({ label, atlas }, act, cell) {
  const edit = toEdit(atlas, act, cell);
  if (!edit) return '';
  const { effect, loss, divergence } = numbersOf(atlas, act, cell);
  const change =
    effect === null ? 'the last state cannot be compared' : `the last state differs by ${toPercent(effect)}`;
  const losses =
    loss === null || atlas.loss_base === null
      ? ''
      : `, the loss is ${loss.toFixed(LOSS_DIGITS)} instead of ${atlas.loss_base.toFixed(LOSS_DIGITS)}`;
  const output =
    divergence === null ? '' : `, the output’s KL divergence ${formatValue(divergence, null, undefined, 2)} nats`;
  return `${label}: ${describeEdit(edit)}: ${change}${losses}${output}`;
}

/** Say what the atlas offers while no cell is shown. @param {boolean} hasRuns whether edits of some runs can be changed @param {boolean} hasRecordings */
export function describeUse(hasRuns, hasRecordings) {
  if (!hasRuns) return 'Point at a cell for its numbers. A recording cannot be edited.';
  return `A click on a cell makes that edit${hasRecordings ? '; a recording cannot be edited' : ''}.`;
}

/** Return the numbers of a cell; null where there is none. @param {Atlas} atlas @param {string} act @param {Cell} cell */
function numbersOf(atlas, act, { stream, layer }) {
  const readCell = (/** @type {(number | null)[][][] | null} */ values) =>
    values?.[findCut(atlas, act)]?.[layer]?.[stream] ?? null;
  return { effect: readCell(atlas.effect_last), loss: readCell(atlas.loss), divergence: readCell(atlas.output_kl) };
}

/** Format a relative distance. @param {number} effect */
export const toPercent = (effect) => `${formatValue(100 * effect, null, undefined, 2)} %`;

/** Return the cell that an arrow key moves to; null for other keys. @param {string} key @param {Cell} cell @param {Part[]} parts from top to bottom @param {string} act */
export function cellAfterKey(key, { run, stream, layer }, parts, act) {
  const rows = listRows(parts, act);
  const at = rows.findIndex((row) => row.run === run && row.stream === stream);
  const clip = (/** @type {number} */ value, /** @type {number} */ count) => Math.min(Math.max(value, 0), count - 1);
  const by = /** @type {Record<string, [number, number]>} */ ({
    ArrowUp: [-1, 0],
    ArrowDown: [1, 0],
    ArrowLeft: [0, -1],
    ArrowRight: [0, 1],
    Home: [0, -Infinity],
    End: [0, Infinity],
  })[key];
  if (!by || rows.length === 0) return null;
  const row = rows[clip(at + by[0], rows.length)];
  return { run: row.run, stream: row.stream, layer: clip(layer + by[1], row.layers) };
}

/** List the rows of the atlas from top to bottom: each stream of each run, or its branch, or its sources. @param {Part[]} parts @param {string} act */
export function listRows(parts, act) {
  return parts.flatMap(({ run, atlas }) => {
    const effects = effectsOf(atlas, act) ?? [];
    const what = atlas.cuts[findCut(atlas, act)]?.what;
    const count = what === BRANCH ? 1 : (effects[0]?.length ?? 0); // all arrays are as wide as the widest
    return inclusiveRange(0, count - 1).map((stream) => ({
      run,
      stream,
      name: nameRow(what, stream),
      layers: effects.length,
      values: effects.map((layer) => layer[stream]),
    }));
  });
}

/** Name a row of the atlas. @param {string} what @param {number} index */
function nameRow(what, index) {
  if (what === BRANCH) return 'branch';
  return what === SOURCE && index === 0 ? 'embedding' : `${what === SOURCE ? SOURCE : 'stream'} ${index + 1}`;
}

/** Build the table of a way of cutting: a row for each layer, a column for each stream. @param {Part[]} parts @param {string} act */
export function toAtlasTable(parts, act) {
  const rows = listRows(parts, act);
  const labels = new Map(parts.map(({ run, label }) => [run, label]));
  const layers = Math.max(0, ...rows.map((row) => row.layers));
  return {
    head: ['layer', ...rows.map(({ run, name }) => `${labels.get(run)}, ${name}`)],
    rows: inclusiveRange(0, layers - 1).map((layer) => [
      layer + 1,
      ...rows.map(({ values }) =>
        layer >= values.length ? '' : values[layer] === null ? '–' : toPercent(Number(values[layer])),
      ),
    ]),
  };
}

/** Write every cut of all runs as comma-separated values. @param {Part[]} parts */
export function toAtlasCsv(parts) {
  const head = ['run', 'what', 'do', 'layer', 'stream', 'effect_last', 'loss', 'loss_base', 'output_kl'];
  const rows = parts.flatMap((part) =>
    Object.keys(CUTS).flatMap((key) => {
      const cut = part.atlas.cuts[findCut(part.atlas, key)];
      return listRows([part], key).flatMap(({ run, stream, values }) =>
        values.map((_, layer) => {
          const { effect, loss, divergence } = numbersOf(part.atlas, key, { run, stream, layer });
          const label = `"${part.label.replaceAll('"', '""')}"`;
          return [label, cut.what, cut.do, layer + 1, stream + 1, effect, loss, part.atlas.loss_base, divergence];
        }),
      );
    }),
  );
  return [head, ...rows].map((cells) => `${cells.map((cell) => cell ?? '').join(',')}\n`).join('');
}
