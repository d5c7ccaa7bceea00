import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createColumns } from '../../../static/js/data/columns.js';
import { reduceColumn } from '../../../static/js/data/reduce.js';

/** Create columns with one metric. @param {number[]} values @param {number[]} [log10] @param {[number, string][]} [flags] */
function build(values, log10, flags = []) {
  const columns = createColumns();
  columns.layers.set('m', Float64Array.from(values));
  if (log10) columns.log10.set('m', Float64Array.from(log10));
  columns.status.set('m', new Map(flags));
  return columns;
}

/** @param {import('../../../static/types').Columns} columns @param {string} how */
const value = (columns, how) => reduceColumn(columns, 'm', how).value;

test('a column is reduced to its largest, smallest, median, first or last entry', () => {
  const columns = build([3, 1, 2, 10]);
  const found = ['max', 'min', 'median', 'first', 'last'].map((how) => value(columns, how));
  assert.deepEqual(found, [10, 1, 2.5, 3, 10]);
});

test('a metric that spans decades is reduced as logarithms, also out of range', () => {
  const columns = build([1, 100, NaN], [0, 2, 401]);
  assert.deepEqual(reduceColumn(columns, 'm', 'max'), { value: null, log10: 401, status: 'overflow' });
  assert.deepEqual(reduceColumn(columns, 'm', 'median'), { value: 100, log10: 2, status: 'finite' });
  assert.equal(value(build([1, 10000], [0, 4]), 'median'), 100);
});

test('a true zero is a number', () => {
  assert.deepEqual(reduceColumn(build([5, 0], [Math.log10(5), NaN]), 'm', 'last'), {
    value: 0,
    log10: null,
    status: 'finite',
  });
});

test('a status that could change the result is the result, and a missing column has none', () => {
  assert.equal(reduceColumn(build([1, NaN], [0, NaN], [[1, 'nan']]), 'm', 'max').status, 'nan');
  assert.equal(reduceColumn(build([1, NaN], [0, NaN], [[1, 'nan']]), 'm', 'first').value, 1);
  assert.equal(reduceColumn(build([1, NaN], [0, NaN], [[1, 'overflow']]), 'm', 'max').status, 'overflow');
  assert.equal(reduceColumn(build([1, NaN], [0, NaN], [[1, 'overflow']]), 'm', 'min').value, 1);
  assert.equal(reduceColumn(build([1]), 'other', 'max').status, 'absent');
});

test('a column over training steps is reduced equally', () => {
  const columns = createColumns();
  columns.steps.set('m', { shape: [3], data: Float64Array.from([4, 8, 2]) });
  columns.stepsLog10.set('m', { shape: [3], data: Float64Array.from([4, 8, 2].map(Math.log10)) });
  assert.equal(value(columns, 'max'), 8);
});
