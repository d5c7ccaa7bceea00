import assert from 'node:assert/strict';
import { test } from 'node:test';
import { writeSums } from '../../../static/js/figures/sums.js';

/** Return the sums and numbers of adjacent matrices. @param {number[][][]} matrices @param {boolean} [narrow] */
function write(matrices, narrow = false) {
  const shown = matrices.map((matrix, run) => ({
    z: matrix.map((row) => Float64Array.from(row)),
    meta: { run, fill: { z: 'at.h_res' } },
  }));
  const cells = matrices.map((_, run) => [`x${run}`, `y${run}`]);
  const layout = { meta: { grid: { cells } }, ...Object.fromEntries(cells.flat().map((name) => [name, {}])) };
  writeSums(
    layout,
    /** @type {any} */ (shown),
    matrices.map(() => null),
    0,
    narrow,
  );
  return { layout, shown: /** @type {any[]} */ (shown) };
}

const square = (/** @type {number} */ size) => Array.from({ length: size }, () => Array(size).fill(1 / size));

test('row sums are right of a matrix, column sums below', () => {
  const { layout, shown } = write([
    [
      [1, 0.5],
      [0, -2],
    ],
  ]);
  assert.deepEqual(layout.y0.ticktext, ['Σ 1.50', 'Σ −2.00']);
  assert.deepEqual(layout.x0.ticktext, ['Σ 1.00', 'Σ −1.50']);
  assert.equal(shown[0].texttemplate, '%{text}');
  assert.deepEqual(shown[0].text, [
    ['1.00', '0.50'],
    ['0.00', '−2.00'],
  ]);
});

test('a cell without a number shows nan, and a large number has few digits', () => {
  const { layout, shown } = write([
    [
      [1, NaN],
      [0, 2.5e6],
    ],
  ]);
  assert.deepEqual(shown[0].text, [
    ['1', '–'],
    ['0', '2.5×10⁶'],
  ]);
  assert.deepEqual(layout.y0.ticktext, ['Σ –', 'Σ 2.5×10⁶']);
});

test('numbers are hidden in narrow cells', () => {
  assert.equal(write([square(16)]).shown[0].texttemplate, '%{text}');
  assert.equal(write([square(16), square(16)]).shown[0].texttemplate, '');
  assert.equal(write([square(16)], true).shown[0].texttemplate, '');
  assert.equal(
    write([square(8), square(8), square(8), square(8), square(8)]).layout.x0.ticktext.length,
    1,
    'least to largest',
  );
});
