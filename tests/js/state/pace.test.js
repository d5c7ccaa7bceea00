import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createColumns } from '../../../static/js/data/columns.js';
import { formatSecondsRange } from '../../../static/js/data/numbers.js';
import { predictTogether, recordArrival, secondsLeft } from '../../../static/js/state/pace.js';

test('the remaining time follows the latest steps, not those that arrived together', () => {
  const columns = createColumns();
  assert.equal(secondsLeft(columns, 10), null);
  for (let step = 0; step < 50; step++) recordArrival(columns, 1000);
  for (let step = 1; step <= 20; step++) recordArrival(columns, 1000 + 500 * step);
  assert.equal(secondsLeft(columns, 10), 5);
  assert.equal(secondsLeft(columns, 0), 0);
  assert.equal(secondsLeft(createColumns(), 10), null);
});

const cost = (seconds, peak_bytes = 1) => ({
  seconds_likely: seconds,
  seconds_low: seconds / 2,
  seconds_high: 3 * seconds,
  peak_bytes,
});

test('one worker computes runs one after the other, two workers in parallel', () => {
  const costs = [cost(1), cost(3), cost(1), cost(2)];
  assert.equal(predictTogether(costs, 1).likely_s, 7);
  assert.equal(predictTogether(costs, 2).likely_s, 4); // 1 + 1 + 2 in parallel to 3
  assert.equal(predictTogether(costs, 2).low_s, 2);
  assert.equal(predictTogether(costs, 2).high_s, 12);
  assert.equal(predictTogether(costs, 8).likely_s, 3);
});

test('short runs can use one more worker, unless one of them is long', () => {
  const costs = [cost(1), cost(1), cost(1)];
  assert.equal(predictTogether(costs, 2, 0).likely_s, 2);
  assert.equal(predictTogether(costs, 2, 1).likely_s, 1);
  assert.equal(predictTogether([...costs, cost(1.5)], 2, 1).likely_s, 2.5);
});

test('a run stored by an earlier version has a single number', () => {
  assert.equal(predictTogether([{ seconds: 2, peak_bytes: 1 }], 2).high_s, 2);
});

test('memory is the sum of the largest runs computed in parallel', () => {
  const costs = [cost(1, 5), cost(1, 7), cost(1, 3)];
  assert.equal(predictTogether(costs, 2).peak_bytes, 12);
  assert.equal(predictTogether(costs, 5).peak_bytes, 15);
});

test('a range has one unit, and one number if both are equal', () => {
  assert.equal(formatSecondsRange(1.21, 1.88), '1.2 to 1.9 s');
  assert.equal(formatSecondsRange(0.06, 0.2), '60 ms to 0.20 s');
  assert.equal(formatSecondsRange(1.21, 1.22), '1.2 s');
});
