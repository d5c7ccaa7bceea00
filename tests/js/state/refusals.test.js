import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkNumber, describeRefusal, hasValidNumbers } from '../../../static/js/state/refusals.js';
import { fields } from '../schema.js';

const DEPTH = { title: 'Depth', type: 'integer', min: 1, max: 1024, is_open: false };
const RATE = { title: 'Learning rate', type: 'number', min: 0, max: 10, is_open: true };

test('a field refuses invalid numbers with its bounds', () => {
  assert.equal(checkNumber(DEPTH, 64), '');
  for (const value of [64.5, 0, -3, 1025])
    assert.equal(checkNumber(DEPTH, value), 'Depth must be a whole number from 1 to 1024.');
  assert.equal(checkNumber(RATE, 0), 'Learning rate must be a number above 0, at most 10.');
  assert.equal(checkNumber({ ...DEPTH, max: null }, 0), 'Depth must be a whole number of at least 1.');
  assert.equal(
    checkNumber({ ...RATE, is_open: false, min: null }, 11),
    'Learning rate must be a number of at most 10.',
  );
});

test("the server's errors become sentences", () => {
  const describe = (wanted, title = 'Depth', got = 4) =>
    describeRefusal({ ...DEPTH, title, max: 64 }, { field: 'depth', got, wanted });
  assert.equal(describe('an integer from 1 to 1024'), 'Depth must be a whole number from 1 to 1024.');
  assert.equal(describe('a finite number from 0.0 to 10.0', 'Drift'), 'Drift must be a number from 0 to 10.');
  assert.equal(describe('a divisor of width 65', 'Heads'), 'Heads (4) must divide width (65). Use 1, 5 or 13.');
  assert.equal(describe('one of mlp, conv', 'Block'), 'Block must be one of mlp, conv.');
  assert.equal(
    describe('at most 4.29 GB of predicted memory', 'Depth', '43.6 GB predicted'),
    'This run needs about 43.6 GB of memory; this server allows 4.29 GB.',
  );
  assert.equal(describeRefusal(undefined, { field: 'body', got: 1, wanted: 'an object' }), 'body must be an object.');
});

test('numbers of a view are checked for runs to which they apply', () => {
  const isValid = (base, kind = 'hc') => hasValidNumbers(fields, { base, runs: [], cursor: null }, { kind, own: {} });
  assert.equal(isValid({ depth: 64.5 }), false);
  assert.equal(isValid({ depth: 64, 'connection.noise': 11 }), false);
  assert.equal(isValid({ 'connection.noise': 11 }, 'residual'), true);
});
