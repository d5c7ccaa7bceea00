import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createColumns } from '../../../static/js/data/columns.js';
import { copyFirstLayers } from '../../../static/js/derived/prefix.js';

/** Build columns of four layers and two streams. */
function createBase() {
  const base = createColumns();
  base.layers.set('act_rms', Float64Array.of(1, 2, 3, 4));
  base.log10.set('act_rms', Float64Array.of(0, 0.3, 0.5, 0.6));
  base.layers.set(
    'stream_rms',
    [1, 2, 3, 4].map((value) => Float64Array.of(value)),
  );
  base.bands.set('act_rms', { p50: Float64Array.of(1, 2, 3, 4) });
  base.matrices.set('h_res', { shape: [4, 2, 2], data: Float64Array.from({ length: 16 }, (_, index) => index) });
  return base;
}

test('the first layers of columns, bands and matrices are views on the numbers of the base', () => {
  const [base, first] = [createBase(), createColumns()];
  copyFirstLayers(first, base, 2, ['act_rms', 'stream_rms', 'h_res']);
  assert.deepEqual(first.layers.get('act_rms'), Float64Array.of(1, 2));
  assert.deepEqual(first.log10.get('act_rms'), Float64Array.of(0, 0.3));
  assert.deepEqual(first.layers.get('stream_rms'), [Float64Array.of(1), Float64Array.of(2)]);
  assert.deepEqual(first.bands.get('act_rms'), { p50: Float64Array.of(1, 2) });
  assert.deepEqual(first.matrices.get('h_res'), {
    shape: [2, 2, 2],
    data: Float64Array.from([0, 1, 2, 3, 4, 5, 6, 7]),
  });
  assert.equal(first.layers.get('act_rms').buffer, base.layers.get('act_rms').buffer);
});
