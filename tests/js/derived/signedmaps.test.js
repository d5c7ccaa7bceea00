import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAPS } from '../../../static/js/derived/maps.js';

const N = 4;
const SETTINGS = { n: N, rounds: 20, eps: 0, round: (value) => value };
const LOGITS = { cayley: 16, iterated_cayley: 16, quaternions: 8, spectral: 9 };

/** Make logits that differ. */
const makeLogits = (count, size) => Float64Array.from({ length: count }, (_, k) => size * Math.sin(3 * k + 1));

/** Return the matrix as rows. */
const toRows = (matrix) => Array.from({ length: N }, (_, row) => [...matrix.subarray(row * N, (row + 1) * N)]);

/** Return the largest difference of the products of rows from those of the identity. */
const missOrthogonal = (rows) =>
  Math.max(
    ...rows.flatMap((one, i) =>
      rows.map((other, j) => Math.abs(one.reduce((sum, value, k) => sum + value * other[k], 0) - Number(i === j))),
    ),
  );

const sumOf = (values) => values.reduce((sum, value) => sum + value, 0);

for (const formula of ['cayley', 'quaternions'])
  test(`${formula} gives an orthogonal matrix that mixes, whatever the logits`, () => {
    for (const size of [0.3, 3, 30]) {
      const rows = toRows(MAPS[formula](makeLogits(LOGITS[formula], size), SETTINGS));
      assert.ok(missOrthogonal(rows) < 1e-12);
      assert.ok(Math.min(...rows.flat()) < -0.05);
      assert.ok(Math.max(...rows.map((row) => Math.abs(sumOf(row) - 1))) > 0.05);
    }
  });

test('the spectral map has sums of 1 and negative entries', () => {
  const logits = makeLogits(LOGITS.spectral, 3);
  logits.fill(-2, 6); // what streams have apart changes its sign
  const rows = toRows(MAPS.spectral(logits, SETTINGS));
  const columns = rows.map((_, k) => rows.map((row) => row[k]));
  for (const line of [...rows, ...columns]) assert.ok(Math.abs(sumOf(line) - 1) < 1e-12);
  assert.ok(Math.min(...rows.flat()) < -0.01);
});

test('the iterated transform is close to the exact one of half its step, for small logits alone', () => {
  for (const [size, limit] of [
    [0.1, 1e-5],
    [5, Number.POSITIVE_INFINITY],
  ]) {
    const rows = toRows(MAPS.iterated_cayley(makeLogits(LOGITS.iterated_cayley, size), SETTINGS));
    // (I + A)^-1 (I - A) with A = -0.05 W is the limit of the iteration.
    const exact = toRows(
      MAPS.cayley(
        makeLogits(LOGITS.cayley, size).map((value) => -0.05 * value),
        SETTINGS,
      ),
    );
    const apart = Math.max(...rows.flatMap((row, i) => row.map((value, j) => Math.abs(value - exact[i][j]))));
    assert.ok(apart < limit);
    assert.ok(size < 1 || apart > 1e-3);
  }
});

test('starts of orthogonal maps are the identity to the last bit', () => {
  for (const [formula, start] of [
    ['cayley', new Float64Array(16)],
    ['iterated_cayley', new Float64Array(16)],
    ['quaternions', Float64Array.of(1, 0, 0, 0, 1, 0, 0, 0)],
  ]) {
    const rows = toRows(MAPS[formula](start, SETTINGS));
    for (const [i, row] of rows.entries()) for (const [j, value] of row.entries()) assert.ok(value === Number(i === j));
  }
});
