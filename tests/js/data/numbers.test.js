import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatSigned, largestMagnitude } from '../../../static/js/data/numbers.js';

test('the largest magnitude ignores values that are not finite', () => {
  assert.equal(largestMagnitude([1, -3, NaN, Infinity, -Infinity, 2]), 3);
  assert.equal(largestMagnitude([NaN]), 0);
});

test('a negative number has a minus sign, and a rounded zero has none', () => {
  assert.deepEqual([formatSigned(-1.499, 2), formatSigned(-0.001, 2), formatSigned(1, 2)], ['−1.50', '0.00', '1.00']);
});
