import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addFrame, createColumns, toNumbers } from '../../../static/js/data/columns.js';

const typed = (rows) => {
  const data = Float32Array.from(rows.flat());
  return {
    dtype: 'f4',
    bdata: Buffer.from(data.buffer).toString('base64'),
    shape: `${rows.length}, ${rows[0].length}`,
  };
};
let index = 0;
const frame = (type, data) => ({ run: 'r', index: index++, type, ...data });

function begun(layers = 2) {
  index = 0;
  const columns = createColumns();
  addFrame(columns, frame('start', { layers, streams: 2 }));
  return columns;
}

test('layers arrive one by one, in both directions', () => {
  const columns = begun();
  addFrame(columns, frame('forward', { layer: 0, values: { act_rms: 1.5 }, log10: { act_rms: 0.176 }, status: {} }));
  addFrame(columns, frame('backward', { layer: 1, values: { grad_rms: 2 }, log10: {}, status: {} }));
  assert.deepEqual([...columns.layers.get('act_rms')], [1.5, NaN]);
  assert.deepEqual([...columns.layers.get('grad_rms')], [NaN, 2]);
});

test('the embedding is stored separately', () => {
  const columns = begun();
  addFrame(columns, frame('forward', { layer: -1, values: { act_rms: 1 }, log10: {}, status: {} }));
  assert.deepEqual(columns.input, { act_rms: 1 });
  assert.equal(columns.layers.size, 0);
});

test('an overflow keeps its log10 and its status', () => {
  const columns = begun();
  addFrame(
    columns,
    frame('forward', { layer: 1, values: { act_rms: null }, log10: { act_rms: 401 }, status: { act_rms: 'overflow' } }),
  );
  assert.ok(Number.isNaN(columns.layers.get('act_rms')[1]));
  assert.equal(columns.log10.get('act_rms')[1], 401);
  assert.equal(columns.status.get('act_rms').get(1), 'overflow');
});

test('matrices are stacked by layer, per-stream values kept by layer', () => {
  const columns = begun();
  const h_res = [
    [1, 2],
    [3, 4],
  ];
  addFrame(
    columns,
    frame('forward', {
      layer: 1,
      values: { h_res: typed(h_res), h_pre: [0.5, null], act_rms_streams: [7, 8] },
      log10: {},
      status: {},
    }),
  );
  assert.deepEqual(columns.matrices.get('h_res').shape, [2, 2, 2]);
  assert.deepEqual([...columns.matrices.get('h_res').data], [NaN, NaN, NaN, NaN, 1, 2, 3, 4]);
  assert.deepEqual([...columns.matrices.get('h_pre').data], [NaN, NaN, 0.5, NaN]);
  assert.deepEqual([...columns.layers.get('act_rms_streams')[1]], [7, 8]);
});

test('a matrix over all layers arrives at once, and is not a column', () => {
  const columns = begun();
  addFrame(
    columns,
    frame('mixing', {
      values: {
        unfolded: typed([
          [1, 0, 0],
          [1, 1, 0],
        ]),
        composite_gain_fwd: [1, 2],
      },
      log10: {},
      status: {},
    }),
  );
  assert.deepEqual(columns.matrices.get('unfolded').shape, [2, 3]);
  assert.deepEqual([...columns.matrices.get('unfolded').data], [1, 0, 0, 1, 1, 0]);
  assert.ok(!columns.layers.has('unfolded'));
  assert.deepEqual([...columns.layers.get('composite_gain_fwd')], [1, 2]);
});

test('a row of similarities fills both halves of the map', () => {
  const columns = begun();
  addFrame(columns, frame('similarity', { layer: 1, cka: [0.5, null] }));
  assert.deepEqual([...columns.matrices.get('cka').data], [NaN, 0.5, 0.5, NaN]);
});

test('a repeated frame, as after a reconnect, counts once', () => {
  const columns = begun();
  addFrame(columns, { run: 'r', index: 1, type: 'loss', values: { loss: 5 } });
  addFrame(columns, { run: 'r', index: 1, type: 'loss', values: { loss: 6 } });
  assert.equal(columns.loss, 5);
});

test('whole columns replace earlier ones, with their status by layer', () => {
  const columns = begun();
  addFrame(
    columns,
    frame('mixing', {
      values: { composite_gain_fwd: [1, null] },
      log10: { composite_gain_fwd: [0, 400] },
      status: { composite_gain_fwd: { 1: 'overflow' } },
    }),
  );
  assert.deepEqual([...columns.layers.get('composite_gain_fwd')], [1, NaN]);
  assert.equal(columns.status.get('composite_gain_fwd').get(1), 'overflow');
});

test('steps are rows, and the measurement of the trained stack starts empty', () => {
  index = 0;
  const columns = createColumns();
  addFrame(columns, frame('start', { layers: 2, streams: 2, spec: { train: { steps: 3 } } }));
  addFrame(
    columns,
    frame('forward', { layer: 0, values: { act_rms: null }, log10: { act_rms: 40 }, status: { act_rms: 'overflow' } }),
  );
  addFrame(columns, frame('loss', { values: { loss: 5 } }));
  addFrame(
    columns,
    frame('step', {
      step: 0,
      values: { step_loss: 4, step_gain_fwd: [1, 2], step_h_res: typed([[1]]) },
      log10: { step_gain_fwd: [0, null] },
      status: {},
    }),
  );
  addFrame(columns, frame('step', { step: 1, values: { step_loss: null }, log10: {}, status: { step_loss: 'nan' } }));
  assert.deepEqual(columns.steps.get('step_loss'), { shape: [3], data: Float64Array.of(4, NaN, NaN) });
  assert.deepEqual(columns.steps.get('step_gain_fwd'), {
    shape: [3, 2],
    data: Float64Array.of(1, 2, NaN, NaN, NaN, NaN),
  });
  assert.deepEqual([...columns.stepsLog10.get('step_gain_fwd').data], [0, NaN, NaN, NaN, NaN, NaN]);
  assert.ok(!columns.steps.has('step_h_res'));
  assert.deepEqual([columns.keptSteps, columns.kept.get('step_h_res').map((item) => item.shape)], [[0], [[1, 1]]]);
  assert.equal(columns.stepsStatus.get('step_loss').get(1), 'nan');
  assert.equal(columns.trained, 2);
  assert.equal(columns.loss, 5);
  addFrame(columns, frame('forward', { step: 1, layer: -1, values: { act_rms: 1 }, log10: {}, status: {} }));
  assert.deepEqual([columns.layers.size, columns.log10.size, columns.status.size, columns.loss], [0, 0, 0, null]);
  assert.deepEqual(columns.input, { act_rms: 1 });
  assert.equal(columns.steps.size, 2);
});

test('an unknown type of array is refused', () => {
  assert.throws(() => toNumbers({ dtype: 'u1', bdata: '', shape: '0' }), /u1/);
});

test('a recording says that an atlas came with it', () => {
  const columns = createColumns();
  assert.equal(columns.hasAtlas, false);
  addFrame(columns, { index: 0, type: 'atlas', cuts: [], loss_base: null, values: {}, seeds: 1 });
  assert.equal(columns.hasAtlas, true);
});

test('training steps may come after the frames that follow them', () => {
  const begin = () => {
    const columns = begun();
    columns.start.spec = { train: { steps: 2 } };
    return columns;
  };
  const inOrder = begin();
  const measured = (layer, act_rms, more) =>
    frame('forward', { layer, values: { act_rms }, log10: {}, status: {}, ...more });
  const before = measured(0, 9);
  const steps = [0, 1].map((step) => frame('step', { step, values: { step_loss: 3 - step }, log10: {}, status: {} }));
  const after = [measured(-1, 1, { step: 2 }), measured(0, 2, { step: 2 }), frame('end', { status: 'done' })];
  for (const item of [before, ...steps, ...after]) addFrame(inOrder, item);
  assert.equal(inOrder.lacksSteps, false);

  const late = begin();
  for (const item of after) addFrame(late, item);
  assert.equal(late.lacksSteps, true);
  assert.deepEqual([...late.layers.get('act_rms')], [2, NaN]);
  for (const item of [...steps, ...steps]) addFrame(late, item);
  assert.deepEqual([late.steps, late.layers], [inOrder.steps, inOrder.layers]);
  assert.deepEqual([late.trained, late.last], [inOrder.trained, inOrder.last]);
});
