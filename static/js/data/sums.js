/** The numbers of matrices on a figure, where there is room for them: in their cells, and their sums beside them. */

import { colSums, rowSums, toSumTexts, toTitle } from './composites.js';
import { formatFixed, formatValue, range } from './numbers.js';
import { findProduct } from './sources.js';

/** @typedef {import('../../types').Columns} Columns */

/** Matrix columns in the width of a card that leave room for numbers, for a label below each that lies flat, and for one that stands. */
const [CELLS_WITH_NUMBERS, COLUMNS_ABREAST, COLUMNS_WITH_SUMS] = [16, 10, 32];
const SHORT = 5; // letters of a sum that leave room for a sign before it
const CELL_DIGITS = 3;
const TITLE = { font: { size: 11 }, standoff: 4 }; // of what stands below a product

/**
 * Row sums right of each matrix, column sums below, and the numbers in the cells where they can be read.
 * @param {Record<string, any>} layout
 * @param {import('../../types').Trace[]} shown
 * @param {(Columns | null)[]} results
 * @param {number} cursor
 * @param {boolean} narrow
 */
export function writeSums(layout, shown, results, cursor, narrow) {
  const abreast = narrow ? 1 : shown.length;
  for (const trace of shown) {
    const [xName, yName] = layout.meta.grid.cells[trace.meta.run];
    const columns = trace.z.length * abreast; // in the width of the card
    const product = findProduct(trace.meta.fill.z, /** @type {Columns} */ (results[trace.meta.run]), cursor);
    const { rows, below, span, cells } = product ? productTexts(product) : matrixTexts(trace.z);
    if (product) layout[xName].title = { ...TITLE, text: toTitle(product) };
    const hasNumbers = columns <= CELLS_WITH_NUMBERS / (narrow ? 2 : 1);
    Object.assign(
      layout[yName],
      sumTicks(rows, hasNumbers && (columns <= COLUMNS_ABREAST || rows.every((text) => text.length < SHORT))),
    );
    Object.assign(
      layout[xName],
      columns > COLUMNS_WITH_SUMS
        ? sumSpan(span, below.length)
        : sumTicks(below, columns <= COLUMNS_ABREAST && below.every((text) => text.length <= SHORT)),
    );
    layout[xName].tickangle = columns > COLUMNS_ABREAST && columns <= COLUMNS_WITH_SUMS ? -90 : 0;
    trace.texttemplate = hasNumbers ? (product || cells ? '%{text}' : '%{z:.2f}') : '';
    if (cells) trace.text = cells;
  }
}

/** @param {Float64Array[]} matrix */
function matrixTexts(matrix) {
  const rows = matrix.map((row) => Array.from(row));
  const columnSums = rows.map((_, index) => total(rows.map((row) => row[index])));
  const span = [Math.min(...columnSums), Math.max(...columnSums)].map(sumText);
  return {
    rows: rows.map((row) => sumText(total(row))),
    below: columnSums.map(sumText),
    span,
    cells: cellTexts(rows),
  };
}

/** @param {import('./composites.js').Product} product */
function productTexts(product) {
  const sums = colSums(product);
  const span = toSumTexts(product, Float64Array.of(Math.min(...sums), Math.max(...sums)));
  return { rows: toSumTexts(product, rowSums(product)), below: toSumTexts(product, sums), span, cells: null };
}

/** @param {number[]} values */
function total(values) {
  return values.reduce((sum, value) => sum + value, 0);
}

/** @param {string[]} texts @param {boolean} isRoomy */
function sumTicks(texts, isRoomy) {
  return {
    tickmode: 'array',
    tickvals: range(1, texts.length),
    ticktext: isRoomy ? texts.map((text) => `Σ ${text}`) : texts,
    tickfont: { size: isRoomy ? 10 : 9 },
  };
}

/** One label for all columns: the least and the largest sum. @param {string[]} span @param {number} columns */
function sumSpan([least, most], columns) {
  return {
    tickmode: 'array',
    tickvals: [(columns + 1) / 2],
    ticktext: [`Σ ${least} … ${most}`],
    tickfont: { size: 9 },
  };
}

/** @param {number} value */
function sumText(value) {
  return Math.abs(value) < 1e3 ? formatFixed(value, 2) : formatValue(value);
}

/** The numbers of cells where two digits behind the point are not what they need. @param {number[][]} rows */
function cellTexts(rows) {
  const isShort = rows.flat().every((value) => Math.abs(value) < 100);
  return isShort ? null : rows.map((row) => row.map((value) => formatValue(value, null, undefined, CELL_DIGITS)));
}
