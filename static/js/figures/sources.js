/** Evaluates the data sources of `meta.fill`; `mhc_core/figures/sources.py` documents their syntax. */

import { formatValue, inclusiveRange, UNKNOWN } from '../data/numbers.js';
import { depthOf, trainSteps } from '../data/record.js';
import { buildBlock, toBlockTexts } from './basis.js';
import { isSpanBeyond, multiplySpan, toCellTexts, toLabel, toSignedLogs } from './composites.js';
import { eigenvaluesPerLayer, toSpokes } from './eigenvalues.js';
import { toSignedLog } from './scales.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('../../types').Matrix} Matrix @typedef {import('../../types').Numbers} Numbers */

/** Entry of `waits` in derived columns: laws, which only the server predicts. */
export const THEORY = 'theory';
const PERCENTILES = ['p05', 'p50', 'p95'];
const MAX_DECADES = 307; // of a double
const TOO_WEAK = 'too weak to say'; // theory with a band that would be too wide

/**
 * Return the data that `source` names, or null if the run has none.
 * @param {string} source
 * @param {Columns} columns
 * @param {string} label
 * @param {number} cursor layer from 0
 * @returns {any}
 */
export function lookUp(source, columns, label, cursor) {
  const [name, key] = source.split(/\.(.*)/s);
  if (name === 'label') return label;
  if (name === 'cka_label') return toCkaLabel(columns.start?.cka, label);
  if (name === 'layer') return inclusiveRange(1, depthOf(columns));
  if (name === 'layers') return toList(columns.layers.get(key));
  if (name === 'log10') return toList(columns.log10.get(key));
  if (name === 'text') return toTexts(columns, key);
  if (name === 'span') return toSpanTexts(columns, key);
  if (name === 'step') return columns.trained > 0 ? toStepNumbers(columns) : null;
  if (name === 'steps') return fromSteps(columns.steps.get(key));
  if (name === 'steps_log10') return fromSteps(columns.stepsLog10.get(key));
  if (name === 'steps_text') return toStepTexts(columns, key);
  if (name === 'middle' || name === 'first_seed') return fromSeeds(columns, name, key);
  if (PERCENTILES.includes(name)) return fromBand(columns, name, key);
  if (name === 'law') return fromLaw(columns, key);
  if (name === 'signed_log')
    return lookUp(key, columns, label, cursor)?.map((/** @type {Float64Array} */ row) => row.map(toSignedLog)) ?? null;
  if (name.startsWith('product')) {
    const product = findProduct(source, columns, cursor);
    if (product && name === 'product_label') return toLabel(product, label);
    return product && (name === 'product_text' ? toCellTexts(product) : toSignedLogs(product));
  }
  if (name === 'eigen') {
    const [span, part] = key.split('.');
    const product = findProduct(`product.${span}.h_res`, columns, cursor);
    const values = product && eigenvaluesPerLayer(product);
    return values && values.length > 0 ? toSpokes(values, part) : null;
  }
  if (name.startsWith('basis')) {
    const block = buildBlock(columns.matrices, Number(key), cursor);
    return block && (name === 'basis' ? block : toBlockTexts(block));
  }
  if (name.startsWith('feature')) return fromFeatures(name, columns.matrices.get(key), columns.start?.width ?? 0);
  if (name.startsWith('stream_')) return toStreams(columns, name.slice('stream_'.length), key);
  const matrix = columns.matrices.get(key);
  return matrix ? fromMatrix(name, matrix, Math.min(cursor, matrix.shape[0] - 1)) : null;
}

/** Compute the product that a source names; null for other sources, and for one stream. @param {string} source @param {Columns} columns @param {number} cursor */
export function findProduct(source, columns, cursor) {
  const [name, span, key] = source.split('.');
  const stack = name.startsWith('product') ? columns.matrices.get(key) : undefined;
  if (!stack || stack.shape[2] === 1 || isSpanBeyond(span, stack.shape[0])) return null;
  return multiplySpan(stack, span, cursor, columns.status.get(key));
}

/** Append the estimator of CKA to a label, with the number of samples if it is biased. Early records do not name it. @param {{estimator: string, samples: number} | undefined} cka @param {string} label */
function toCkaLabel(cka, label) {
  if (!cka) return label;
  return `${label} · ${cka.estimator === 'biased' ? `biased, N = ${cka.samples}` : cka.estimator}`;
}

/** Return the median curve over seeds, or the curve of the first seed.
 * @param {Columns} columns @param {string} name @param {string} source */
function fromSeeds(columns, name, source) {
  const [form, key] = source.split(/\.(.*)/s);
  const hasSeeds = Boolean(columns.bands.get(key));
  if (name === 'middle' && form === 'text')
    return toList(columns.layers.get(key))?.map((_, layer) => textAt(columns, key, layer)) ?? null;
  if (name === 'middle' && hasSeeds) return fromBand(columns, 'p50', source);
  if (name === 'first_seed' && !hasSeeds) return null;
  if (form === 'text') return toTexts(columns, key);
  return toList((form === 'log10' ? columns.log10 : columns.layers).get(key));
}

/** Return a percentile over seeds. It is stored as log10 if the column has one, because plain values may be out of range.
 * @param {Columns} columns @param {string} percentile @param {string} source */
function fromBand(columns, percentile, source) {
  const [form, key] = source.split(/\.(.*)/s);
  const kept = toList(columns.bands.get(key)?.[percentile]);
  if (!kept) return null;
  if (!columns.log10.has(key)) return form === 'text' ? kept.map((value) => formatValue(value)) : kept;
  if (form === 'log10') return kept;
  const values = kept.map(toPower);
  return form === 'text' ? values.map((value, layer) => formatValue(value, kept[layer])) : values;
}

/** Find the law that predicts a metric, or null. @param {Columns} columns @param {string} key @returns {Record<string, any> | null} */
export function lawOf(columns, key) {
  return columns.start?.theory?.find((/** @type {Record<string, any>} */ curve) => curve.metric === key) ?? null;
}

/** Return what a law predicts, as the data of a trace: values, bounds or texts. @param {Columns} columns @param {string} source attribute and metric */
function fromLaw(columns, source) {
  const [part, key] = source.split(/\.(.*)/s);
  const curve = lawOf(columns, key);
  if (!curve) return null;
  if (part !== 'text') return curve[part] && [...curve[part]];
  const [value, low, high] = ['values', 'low', 'high'].map((name) =>
    curve[name].map((/** @type {number | null} */ item, /** @type {number} */ layer) =>
      formatValue(item, curve[`${name}_log10`]?.[layer]),
    ),
  );
  return value.map((/** @type {string} */ middle, /** @type {number} */ layer) =>
    middle === UNKNOWN ? TOO_WEAK : `${middle} (${low[layer]} … ${high[layer]})`,
  );
}

/** Format the values of a column. @param {Columns} columns @param {string} key @returns {string[] | null} */
export function toTexts(columns, key) {
  const values = toList(columns.layers.get(key));
  if (!values) return null;
  const logs = toList(columns.log10.get(key));
  const status = columns.status.get(key);
  return values.map((value, layer) => formatValue(value, logs ? logs[layer] : null, status?.get(layer)));
}

/** Format the value of the main curve at one layer (the median of several seeds); null if the run lacks the column. @param {Columns} columns @param {string} key @param {number} layer from 0 */
export function textAt(columns, key, layer) {
  const kept = columns.bands.get(key)?.p50 ?? null;
  const isLog = columns.log10.has(key);
  const column = kept ?? columns.layers.get(key);
  if (!column || layer >= column.length) return null;
  const value = finiteOrNull(/** @type {any} */ (column)[layer]);
  if (!kept)
    return formatValue(
      value,
      finiteOrNull(/** @type {any} */ (columns.log10.get(key))?.[layer]),
      columns.status.get(key)?.get(layer),
    );
  if (!isLog) return formatValue(value);
  return formatValue(toPower(value), value);
}

/** Return the value if it is finite, else null. @param {number | null | undefined} value */
const finiteOrNull = (value) => (Number.isFinite(value) ? /** @type {number} */ (value) : null);

/** Compute 10^log10; null outside the range of a double. @param {number | null} log10 */
const toPower = (log10) => (log10 === null || Math.abs(log10) > MAX_DECADES ? null : 10 ** log10);

/** Format the range min … max of a metric at each layer. @param {Columns} columns @param {string} key */
function toSpanTexts(columns, key) {
  const [least, most] = ['min', 'max'].map((end) => toTexts(columns, `${key}_${end}`));
  return least && most && least.map((low, layer) => `${low} … ${most[layer]}`);
}

/** Number the training steps: from 1, or with the trainer's own numbers if all steps of a recording have one. @param {Columns} columns @returns {number[]} */
export function toStepNumbers(columns) {
  const steps = trainSteps(columns);
  const areNumbered = steps > 0 && inclusiveRange(0, steps - 1).every((step) => columns.iterations[step] !== undefined);
  return areNumbered ? columns.iterations.slice(0, steps) : inclusiveRange(1, steps);
}

/** Format the values of a column over training steps. @param {Columns} columns @param {string} key @returns {string[] | null} */
export function toStepTexts(columns, key) {
  const values = toList(columns.steps.get(key)?.data);
  const logs = toList(columns.stepsLog10.get(key)?.data);
  const status = /** @type {Map<number, string> | undefined} */ (columns.stepsStatus.get(key));
  return values?.map((value, step) => formatValue(value, logs ? logs[step] : null, status?.get(step))) ?? null;
}

/**
 * Join a column (L, n) into one line with gaps between streams: n (L + 1) - 1 entries.
 * @param {Columns} columns
 * @param {string} kind layer, number, layers, log10 or text
 * @param {string} key
 * @returns {any[] | null}
 */
function toStreams(columns, kind, key) {
  const rows = /** @type {(Numbers | null)[] | undefined} */ (columns.layers.get(key));
  const streams = rows?.find((row) => row !== null)?.length;
  if (!rows || streams === undefined) return null;
  const logs = /** @type {(Numbers | null)[] | undefined} */ (columns.log10.get(key));
  const pick = (/** @type {(Numbers | null)[] | undefined} */ table, /** @type {number} */ stream) =>
    rows.map((_, layer) => {
      const value = table?.[layer]?.[stream];
      return Number.isFinite(value) ? /** @type {number} */ (value) : null;
    });
  const status = columns.status.get(key);
  /** @type {Record<string, (stream: number) => any[]>} */
  const parts = {
    layer: () => inclusiveRange(1, rows.length),
    number: (stream) => new Array(rows.length).fill(stream + 1),
    layers: (stream) => pick(rows, stream),
    log10: (stream) => pick(logs, stream),
    text: (stream) => {
      const log10 = pick(logs, stream);
      return pick(rows, stream).map((value, layer) => formatValue(value, log10[layer], status?.get(layer)));
    },
  };
  return inclusiveRange(0, streams - 1).flatMap((stream) =>
    stream === 0 ? parts[kind](stream) : [null, ...parts[kind](stream)],
  );
}

/** Convert a column to a list for Plotly; values that are not finite become null. @param {any} column @returns {(number | null)[] | null} */
function toList(column) {
  if (!column) return null;
  return Array.from(column, (/** @type {number} */ value) => (Number.isFinite(value) ? value : null));
}

/** Convert a column over steps to a list, a matrix to its rows. @param {Matrix | undefined} matrix */
function fromSteps(matrix) {
  return matrix && matrix.shape.length > 1 ? toRows(matrix.data, matrix.shape[1]) : toList(matrix?.data);
}

/** Return the data of a trace whose source is a matrix of each layer. @param {string} name @param {Matrix} matrix @param {number} cursor */
function fromMatrix(name, matrix, cursor) {
  if (name === 'matrices') return toRows(matrix.data, matrix.shape[1]);
  if (name === 'lower')
    return toRows(matrix.data, matrix.shape[1]).map((row, index) => row.slice(0, -1).fill(NaN, index + 1));
  const size = matrix.data.length / matrix.shape[0];
  const item = matrix.data.subarray(cursor * size, (cursor + 1) * size);
  if (name === 'row') return toList(item);
  const streams = matrix.shape[matrix.shape.length - 1];
  if (streams === 1) return null; // one stream has no mixing
  if (name === 'at') return toRows(item, streams);
  if (name === 'montage') return toMontage(matrix);
  if (name === 'x0') return 1 - (streams - 1) / 2 / (streams + 1);
  if (name === 'dx') return 1 / (streams + 1);
  throw new Error(`unknown source ${name}.<key>`);
}

/**
 * Evaluate a source that reads a stack (L, n, C); null without the stack.
 * @param {string} name
 * @param {Matrix | undefined} stack
 * @param {number} width number of features of a stream; the stack has C of them
 */
function fromFeatures(name, stack, width) {
  if (!stack) return null;
  const [layers, streams, count] = stack.shape;
  const pitch = count + Math.max(1, Math.floor(count / 16)); // with empty rows between two streams
  if (name === 'feature_start') return 1 - (count - 1) / 2 / pitch;
  if (name === 'feature_step') return 1 / pitch;
  return inclusiveRange(0, streams * pitch - (pitch - count) - 1).map((row) => {
    const [stream, feature] = [Math.floor(row / pitch), row % pitch];
    const line = new Float32Array(layers).fill(NaN);
    if (feature >= count) return line;
    if (name === 'feature_numbers') return line.fill(toFeatureNumber(feature, count, width));
    return line.map((_, layer) => stack.data[(layer * streams + stream) * count + feature]);
  });
}

/** Return the number from 1 of a kept feature; the kept ones are evenly spaced. @param {number} place from 0 @param {number} count how many are kept @param {number} width */
export const toFeatureNumber = (place, count, width) => 1 + Math.floor((place * width) / count);

/** Copy the rows of a matrix: Plotly redraws only new arrays. @param {any} data @param {number} width */
function toRows(data, width) {
  return inclusiveRange(0, data.length / width - 1).map((row) => data.slice(row * width, (row + 1) * width));
}

/** Join the matrices of all layers horizontally, with a column of NaN between two. @param {Matrix} matrix */
function toMontage({ shape: [layers, streams], data }) {
  const width = layers * (streams + 1) - 1;
  return inclusiveRange(0, streams - 1).map((row) => {
    const line = new Float32Array(width).fill(NaN);
    for (let layer = 0; layer < layers; layer++) {
      const from = (layer * streams + row) * streams;
      line.set(data.subarray(from, from + streams), layer * (streams + 1));
    }
    return line;
  });
}
