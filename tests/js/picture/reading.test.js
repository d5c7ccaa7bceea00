import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createColumns } from '../../../static/js/data/columns.js';
import { lastKnown, log10Span, logAt, toReading, weightsAt } from '../../../static/js/picture/reading.js';
import { pack, toColumns } from './run.js';

test('sizes are read with the embedding first, as logarithms', () => {
  const reading = toReading(
    toColumns({
      sizes: [
        [1, 10],
        [100, 1000],
      ],
      gradients: [
        [0.1, 0.01],
        [1, 1],
      ],
    }),
  );
  assert.deepEqual([reading.layers, reading.streams], [1, 2]);
  assert.deepEqual([...reading.sizes], [0, 1, 2, 3]);
  assert.deepEqual([logAt(reading, 'gradients', 0, 1), logAt(reading, 'gradients', 1, 1)], [-2, 0]);
  assert.deepEqual(log10Span([reading], 'sizes'), [0, 3]);
});

test('a step without an embedding leaves it unknown', () => {
  const columns = { ...toColumns({ sizes: [[1], [100]] }), input: {} };
  assert.deepEqual([...toReading(columns).sizes], [NaN, 2]);
  assert.deepEqual([...toReading({ ...columns, input: { act_rms_streams: [null] } }).sizes], [NaN, 2]);
});

test('layers that have not arrived are unknown, and a run without its first frame has no reading', () => {
  const reading = toReading(toColumns({ sizes: [[1], [2]], layers: 4 }));
  assert.equal(lastKnown(reading, 'sizes'), 1);
  assert.equal(lastKnown(reading, 'gradients'), -1);
  assert.equal(log10Span([reading], 'gradients'), null);
  assert.equal(toReading(createColumns()), null);
});

test('a size out of range is known by its logarithm, and one that is not a number is unknown', () => {
  const columns = toColumns({ sizes: [[1], [null]], status: { 0: 'overflow' } });
  assert.ok(Number.isNaN(logAt(toReading(columns), 'sizes', 1, 0)));
  columns.log10.get('act_rms_streams')[0] = [401];
  const reading = toReading(columns);
  assert.equal(logAt(reading, 'sizes', 1, 0), 401);
  assert.equal(reading.status.get(0), 'overflow');
});

test('reading weights are a row, or a matrix for separate parts; a layer without them has none', () => {
  const row = toReading(
    toColumns({
      sizes: [
        [1, 1],
        [1, 1],
      ],
      layers: 2,
      values: () => ({ h_pre: [0.25, 0.75] }),
    }),
  );
  assert.deepEqual([...weightsAt(row.read.mean, 0)], [0.25, 0.75]);
  assert.equal(weightsAt(row.read.mean, 1), null);
  assert.equal(weightsAt(row.mix.mean, 0), null);
  const parts = {
    h_read: pack([
      [1, 0],
      [0, 1],
    ]),
  };
  const apart = toReading(
    toColumns({
      sizes: [
        [1, 1],
        [1, 1],
      ],
      values: () => parts,
    }),
  );
  assert.deepEqual(apart.read.mean.shape, [1, 2, 2]);
});
