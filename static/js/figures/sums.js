/** Writes numbers into the cells of matrices, and sums next to rows and columns, where there is room. */

import { formatFixed, formatValue, inclusiveRange } from '../data/numbers.js';
import { columnSums, rowSums, toSumTexts, toTitle } from './composites.js';
import { findProduct } from './sources.js';

/** @typedef {import('../../types').Columns} Columns */

/** Largest numbers of matrix columns per card with room for numbers in cells, for horizontal labels below, and for vertical ones. */
const [CELLS_WITH_NUMBERS, COLUMNS_ABREAST, COLUMNS_WITH_SUMS] = [16, 10, 32];
const SHORT = 5; // characters of a sum with room for a Σ before it
const CELL_DIGITS = 3;
const TITLE = { font: { size: 11 }, standoff: 4 }; // of the line below a product

/**
 * Write row sums right of each matrix, column sums below, and numbers into cells if they are legible.
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
    const columns = trace.z.length * abreast; // across the card
    const product = findProduct(trace.meta.fill.z, /** @type {Columns} */ (results[trace.meta.run]), cursor);
    const { rows, below, span } = product ? productTexts(product) : matrixTexts(trace.z);
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
    trace.texttemplate = hasNumbers ? '%{text}' : '';
    if (hasNumbers && !product) trace.text = formatCells(trace.z);
  }
}

/** Format the row sums and column sums of a matrix. @param {Float64Array[]} matrix */
function matrixTexts(matrix) {
  const rows = matrix.map((row) => Array.from(row));
  const columnSums = rows.map((_, index) => addUp(rows.map((row) => row[index])));
  const span = [Math.min(...columnSums), Math.max(...columnSums)].map(sumText);
  return { rows: rows.map((row) => sumText(addUp(row))), below: columnSums.map(sumText), span };
}

/** Format the sums that are written around a product of matrices: of rows, of columns, and the span of the latter. @param {import('./composites.js').Product} product */
function productTexts(product) {
  const sums = columnSums(product);
  const span = toSumTexts(product, Float64Array.of(Math.min(...sums), Math.max(...sums)));
  return { rows: toSumTexts(product, rowSums(product)), below: toSumTexts(product, sums), span };
}

/** Return the sum of a row or column of a matrix. @param {number[]} values */
function addUp(values) {
  return values.reduce((sum, value) => sum + value, 0);
}

/** Create axis ticks whose labels are the row or column sums of a matrix. @param {string[]} texts @param {boolean} isRoomy */
function sumTicks(texts, isRoomy) {
  return {
    tickmode: 'array',
    tickvals: inclusiveRange(1, texts.length),
    ticktext: isRoomy ? texts.map((text) => `Σ ${text}`) : texts,
    tickfont: { size: isRoomy ? 10 : 9 },
  };
}

/** Create one tick for all columns: the smallest and largest sum. @param {string[]} span @param {number} columns */
function sumSpan([least, most], columns) {
  return {
    tickmode: 'array',
    tickvals: [(columns + 1) / 2],
    ticktext: [`Σ ${least} … ${most}`],
    tickfont: { size: 9 },
  };
}

/** Format the sum of a matrix's row or column. @param {number} value */
function sumText(value) {
  return Math.abs(value) < 1e3 ? formatFixed(value, 2) : formatValue(value);
}

/** Format the numbers of a matrix's cells: with two decimals, or three digits if one is 100 or more. Plotly's own minus is a hyphen. @param {Float64Array[]} matrix */
function formatCells(matrix) {
  const isShort = matrix.every((row) => row.every((value) => Math.abs(value) < 100));
  const format = (/** @type {number} */ value) =>
    isShort ? formatFixed(value, 2) : formatValue(value, null, undefined, CELL_DIGITS);
  return matrix.map((row) => Array.from(row, format));
}
