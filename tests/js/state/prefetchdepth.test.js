import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseDepth } from '../../../static/js/state/spec.js';

const STOPS = [1, 2, 3, 4, 6, 8, 12, 16];

test('a prefetch takes the first stop that is twice as deep', () => {
  assert.equal(chooseDepth(STOPS, 1), 2);
  assert.equal(chooseDepth(STOPS, 4), 8);
  assert.equal(chooseDepth(STOPS, 5), 12);
});

test('near the end it takes the last stop, and none beyond', () => {
  assert.equal(chooseDepth(STOPS, 12), 16);
  assert.equal(chooseDepth(STOPS, 16), null);
  assert.equal(chooseDepth([], 4), null);
});
