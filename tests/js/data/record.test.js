import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createColumns } from '../../../static/js/data/columns.js';
import { describeRecord } from '../../../static/js/data/record.js';

/** @param {number} streams @param {number} noise */
function run(streams, noise) {
  const spec = { depth: 8, width: 16, seed: 3, dtype: 'float32', connection: { noise } };
  return { ...createColumns(), start: /** @type {any} */ ({ layers: 8, streams, spec }) };
}

test('captions name the drift of the runs that have one', () => {
  const [residual, weak, strong] = [run(1, 0.9), run(4, 0.3), run(4, 1)];
  assert.equal(describeRecord(residual, [residual, weak]), 'depth 8, width 16, drift 0.3, seed 3, float32');
  assert.equal(describeRecord(weak, [weak, strong, weak]), 'depth 8, width 16, drift 0.3 / 1, seed 3, float32');
  assert.equal(describeRecord(residual), 'depth 8, width 16, seed 3, float32');
});
