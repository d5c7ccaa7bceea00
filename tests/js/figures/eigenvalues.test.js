import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listEigenvalues } from '../../../static/js/figures/eigenvalues.js';

/** @param {number[][]} found @param {number[][]} wanted */
function assertSame(found, wanted) {
  const rest = [...found];
  for (const [re, im] of wanted) {
    const place = rest.findIndex((value) => Math.hypot(value[0] - re, value[1] - im) < 1e-12);
    assert.notEqual(place, -1, `${re} + ${im} i in ${JSON.stringify(rest)}`);
    rest.splice(place, 1);
  }
  assert.equal(rest.length, 0);
}

test('a cycle of n streams has the n-th roots of 1', () => {
  for (const n of [1, 2, 3, 4, 7, 16]) {
    const cycle = Array.from({ length: n * n }, (_, index) => Number((Math.floor(index / n) + 1) % n === index % n));
    const roots = Array.from({ length: n }, (_, k) => [
      Math.cos((2 * Math.PI * k) / n),
      Math.sin((2 * Math.PI * k) / n),
    ]);
    assertSame(listEigenvalues(cycle, n), roots);
  }
});

test('repeated, zero and negative eigenvalues', () => {
  assertSame(listEigenvalues([1, 0, 0, 0, 1, 0, 0, 0, 1], 3), [
    [1, 0],
    [1, 0],
    [1, 0],
  ]);
  assertSame(listEigenvalues(new Array(16).fill(0.25), 4), [
    [1, 0],
    [0, 0],
    [0, 0],
    [0, 0],
  ]);
  assertSame(listEigenvalues([0, 1, 1, 0], 2), [
    [1, 0],
    [-1, 0],
  ]);
  assertSame(listEigenvalues([3, 5, 0, -2], 2), [
    [3, 0],
    [-2, 0],
  ]);
});
