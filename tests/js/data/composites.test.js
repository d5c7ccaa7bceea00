import assert from 'node:assert/strict';
import { test } from 'node:test';
import { multiply } from '../../../static/js/data/composites.js';

test('a product of layers that had not come yet is made anew when they have', () => {
  const stack = { shape: [2, 1, 1], data: Float64Array.from([0.5, NaN]) };
  assert.ok(multiply(stack, 'first-last', 0).scaled.every(Number.isNaN));
  stack.data[1] = 0.5;
  const { scaled, exponent } = multiply(stack, 'first-last', 0);
  assert.equal(scaled[0] * 2 ** exponent, 0.25);
  assert.equal(multiply(stack, 'first-last', 0), multiply(stack, 'first-last', 1), 'a whole one is kept');
});
