import assert from 'node:assert/strict';
import { test } from 'node:test';
import { projectToDoublyStochastic } from '../../../static/js/derived/birkhoff.js';

/** A fixed sequence of numbers from -2 to 2. */
function drawEntries(count, seed) {
  let state = seed;
  return Array.from({ length: count }, () => {
    state = (1103515245 * state + 12345) % 2147483648;
    return (4 * state) / 2147483648 - 2;
  });
}

function listPermutations(n) {
  if (n === 0) return [[]];
  return listPermutations(n - 1).flatMap((rest) =>
    Array.from({ length: n }, (_, place) => [...rest.slice(0, place), n - 1, ...rest.slice(place)]),
  );
}

const isClose = (one, other, tolerance = 1e-9) =>
  assert.ok(Math.abs(one - other) <= tolerance, `${one} is not ${other}`);

test('sums are 1 and no entry is negative', () => {
  for (const n of [1, 2, 3, 4, 8]) {
    const found = projectToDoublyStochastic(drawEntries(n * n, n), n);
    for (let i = 0; i < n; i++) {
      isClose(
        found.slice(i * n, (i + 1) * n).reduce((sum, value) => sum + value, 0),
        1,
      );
      isClose(
        found.filter((_, index) => index % n === i).reduce((sum, value) => sum + value, 0),
        1,
      );
    }
    assert.ok(found.every((value) => value >= 0));
  }
});

test('of two streams it is the closed form', () => {
  for (let seed = 1; seed < 40; seed++) {
    const [a, b, c, d] = drawEntries(4, seed);
    const t = Math.min(1, Math.max(0, 0.5 + (a + d - b - c) / 4));
    projectToDoublyStochastic([a, b, c, d], 2).forEach((value, index) => {
      isClose(value, [t, 1 - t, 1 - t, t][index]);
    });
  }
});

test('no permutation matrix is in a direction that is nearer', () => {
  for (let seed = 1; seed < 20; seed++) {
    const entries = drawEntries(16, seed);
    const found = projectToDoublyStochastic(entries, 4);
    for (const order of listPermutations(4)) {
      const product = found.reduce(
        (sum, value, index) =>
          sum + (entries[index] - value) * (Number(order[Math.floor(index / 4)] === index % 4) - value),
        0,
      );
      assert.ok(product <= 1e-8, `${product}`);
    }
  }
});

test('a doubly stochastic matrix stays', () => {
  const mixing = [0.5, 0.25, 0.25, 0.25, 0.5, 0.25, 0.25, 0.25, 0.5];
  projectToDoublyStochastic(mixing, 3).forEach((value, index) => {
    isClose(value, mixing[index], 1e-12);
  });
});
