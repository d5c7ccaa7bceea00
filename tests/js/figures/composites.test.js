import assert from 'node:assert/strict';
import { test } from 'node:test';
import { multiplySpan, toCellTexts, toGains } from '../../../static/js/figures/composites.js';

test('a product with missing layers is recomputed when they arrive', () => {
  const stack = { shape: [2, 1, 1], data: Float64Array.from([0.5, NaN]) };
  assert.ok(multiplySpan(stack, 'first-last', 0).scaled.every(Number.isNaN));
  stack.data[1] = 0.5;
  const { scaled, exponent } = multiplySpan(stack, 'first-last', 0);
  assert.equal(scaled[0] * 2 ** exponent, 0.25);
  assert.equal(multiplySpan(stack, 'first-last', 0), multiplySpan(stack, 'first-last', 1), 'a whole one is kept');
});

test('a product distinguishes unrecorded matrices from those that are not numbers', () => {
  const stack = { shape: [3, 1, 1], data: Float64Array.from([0.5, NaN, NaN]) };
  const describe = (/** @type {string} */ span) => {
    const product = multiplySpan(
      stack,
      span,
      0,
      new Map([
        [1, 'unknown'],
        [2, 'nan'],
      ]),
    );
    return [...toGains(product), ...toCellTexts(product).flat()];
  };
  assert.deepEqual(describe('1-1'), ['0.5', '0.5', '0.50']);
  assert.deepEqual(describe('1-2'), ['not known', 'not known', '–']);
  assert.deepEqual(describe('1-3'), ['nan', 'nan', 'nan'], 'the worse reason wins');
});
