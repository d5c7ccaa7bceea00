import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAPS } from '../../../static/js/derived/maps.js';
import { viewRules } from '../sent.js';

const exact = (value) => value;
const settings = (n, changes = {}) => ({ n, layers: 8, rounds: 20, eps: 0, round: exact, ...changes });
const near = (matrix, wanted) =>
  matrix.forEach((entry, index) => {
    assert.ok(Math.abs(entry - wanted[index]) < 1e-12, `${matrix} is not ${wanted}`);
  });
const D = 1 / (1 + Math.exp(8));

/** Sums of rows and of columns. */
function sumsOf(matrix, n) {
  const sum = (entries) => entries.reduce((total, entry) => total + entry, 0);
  const range = [...new Array(n).keys()];
  return {
    rows: range.map((row) => sum(range.map((column) => matrix[row * n + column]))),
    columns: range.map((column) => sum(range.map((row) => matrix[row * n + column]))),
  };
}

/** Numbers that look random, the same in every run. */
const drawn = (count, size = 3) => Float64Array.from({ length: count }, (_, k) => size * Math.sin(12.9898 * (k + 1)));

test('every formula that the server names is known', () => {
  for (const { formula } of Object.values(viewRules.derivation.maps)) assert.equal(typeof MAPS[formula], 'function');
});

test('a rotation of a row of two blocks mixes streams by half its sine squared', () => {
  const raw = new Float64Array(16);
  raw[8] = 0.7; // row 3, column 1: of block 2, and of block 1
  const moved = Math.sin(2 * Math.atan(0.7)) ** 2 / 2;
  near(MAPS.block_energy(raw, settings(2)), [1 - moved, moved, moved, 1 - moved]);
  near(MAPS.block_energy(new Float64Array(36), settings(3)), [1, 0, 0, 0, 1, 0, 0, 0, 1]);
});

test('a transport fills inputs one by one, and adds a share of the uniform matrix', () => {
  const filled = [0, 1, 0, 0, 0, 1, 1, 0, 0];
  const matrix = MAPS.transport(Float64Array.of(-50, -50, 50, -50), settings(3));
  near(
    matrix,
    filled.map((entry) => (1 - D) * entry + D / 3),
  );
  near(MAPS.transport(new Float64Array(0), settings(1)), [1]);
});

test('a circulant matrix mixes less in deeper stacks, and never more than all', () => {
  const raw = Float64Array.of(0, 50, 0);
  near(MAPS.circulant(raw, settings(3, { layers: 8 })), [0.75, 0.25, 0, 0, 0.75, 0.25, 0.25, 0, 0.75]);
  near(MAPS.circulant(raw, settings(3, { layers: 1 })), [0, 1, 0, 0, 0, 1, 1, 0, 0]);
});

test('a softmax over rows takes them as outputs', () => {
  near(MAPS.row_softmax(Float64Array.of(0, Math.log(3), Math.log(4), 0), settings(2)), [0.25, 0.75, 0.8, 0.2]);
});

test('sums are 1: of rows and columns, or of rows alone', () => {
  for (const n of [2, 3, 4, 8]) {
    const made = {
      block_energy: MAPS.block_energy(drawn(4 * n * n), settings(n)),
      transport: MAPS.transport(drawn((n - 1) ** 2), settings(n)),
      circulant: MAPS.circulant(drawn(n), settings(n)),
      row_softmax: MAPS.row_softmax(drawn(n * n), settings(n)),
    };
    for (const [name, matrix] of Object.entries(made)) {
      const { rows, columns } = sumsOf(matrix, n);
      near(rows, new Array(n).fill(1));
      if (name === 'row_softmax') assert.ok(Math.max(...columns) > 1.01);
      else near(columns, new Array(n).fill(1));
      assert.ok(Math.min(...matrix) >= 0, name);
    }
  }
});
