import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createColumns } from '../../../static/js/data/columns.js';
import { noteStep, secondsLeft } from '../../../static/js/state/pace.js';

test('time left follows the pace of the latest steps, not of those that came at once', () => {
  const columns = createColumns();
  assert.equal(secondsLeft(columns, 10), null);
  for (let step = 0; step < 50; step++) noteStep(columns, 1000);
  for (let step = 1; step <= 20; step++) noteStep(columns, 1000 + 500 * step);
  assert.equal(secondsLeft(columns, 10), 5);
  assert.equal(secondsLeft(columns, 0), 0);
  assert.equal(secondsLeft(createColumns(), 10), null);
});
