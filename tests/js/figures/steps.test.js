import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addFrame, createColumns } from '../../../static/js/data/columns.js';
import { toStepTexts, toTexts } from '../../../static/js/figures/sources.js';
import * as steps from '../../../static/js/figures/steps.js';
import { rules } from '../sent.js';

const { canShowStep, nearestKept, showsKept } = steps;
const atStep = (columns, step) => steps.atStep(columns, step, rules.steps);

const typed = (values) => {
  const data = Float32Array.from(values);
  return { dtype: 'f4', bdata: Buffer.from(data.buffer).toString('base64'), shape: `${values.length / 4}, 2, 2` };
};

/** Create a training of two layers and three steps; matrices are kept at the first and the last, and the last overflows. */
function trained(steps = 3) {
  const columns = createColumns();
  let index = 0;
  const add = (type, data) => addFrame(columns, { run: 'r', index: index++, type, ...data });
  add('start', { layers: 2, streams: 2, spec: { train: { steps: 3 } } });
  const frames = [
    {
      values: {
        step_loss: 4,
        step_gain_fwd: [1, 2],
        step_gain_bwd: [2, 1],
        step_h_res: typed([1, 0, 0, 1, 1, 0, 0, 2]),
      },
      log10: { step_gain_fwd: [0, 0.3], step_gain_bwd: [0.3, 0] },
      status: {},
    },
    {
      values: { step_loss: 3, step_gain_fwd: [3, 4], step_gain_bwd: [4, 3] },
      log10: { step_gain_fwd: [0.5, 0.6], step_gain_bwd: [0.6, 0.5] },
      status: {},
    },
    {
      values: {
        step_loss: null,
        step_gain_fwd: [5, null],
        step_gain_bwd: [6, 5],
        step_h_res: typed([2, 0, 0, 2, 2, 0, 0, 2]),
      },
      log10: { step_gain_fwd: [0.7, 401], step_gain_bwd: [0.8, 0.7] },
      status: { step_loss: 'nan', step_gain_fwd: { 1: 'overflow' } },
    },
  ];
  for (const [step, data] of frames.slice(0, steps).entries()) add('step', { step, ...data });
  add('forward', {
    step: 3,
    layer: 0,
    values: { act_rms: 9, act_rms_streams: [8, 9], cos_prev: 0.5, effective_rank: 2 },
    log10: {},
    status: {},
  });
  add('mixing', { values: { composite_gain_fwd: [7, 8] }, log10: { composite_gain_fwd: [0.8, 0.9] }, status: {} });
  return columns;
}

test('a step replaces its own gains, and keeps other metrics', () => {
  const columns = trained();
  const shown = atStep(columns, 1);
  assert.deepEqual([...shown.layers.get('composite_gain_fwd')], [3, 4]);
  assert.deepEqual([...shown.log10.get('composite_gain_bwd')], [0.6, 0.5]);
  assert.equal(shown.layers.get('effective_rank'), columns.layers.get('effective_rank'));
  assert.deepEqual([...columns.layers.get('composite_gain_fwd')], [7, 8], 'the run itself is as it was');
});

test('an overflow at a step has its status there', () => {
  const columns = trained();
  assert.equal(toTexts(atStep(columns, 2), 'composite_gain_fwd')[1], '1×10⁴⁰¹');
  assert.deepEqual(toStepTexts(columns, 'step_loss'), ['4', '3', 'nan']);
});

test('matrices are those of the nearest kept step, the earlier of two', () => {
  const columns = trained();
  assert.deepEqual(
    [0, 1, 2].map((step) => nearestKept(columns, step)),
    [0, 0, 1],
  );
  assert.deepEqual([...atStep(columns, 1).matrices.get('h_res').data], [1, 0, 0, 1, 1, 0, 0, 2]);
  assert.deepEqual([...atStep(columns, 1).layers.get('ds_error')], [0, 1]);
  assert.equal(nearestKept(createColumns(), 0), null);
});

test('reading and writing weights are those of the step, and deviations over tokens are unknown', () => {
  const columns = trained();
  for (const key of ['h_pre', 'h_pre_std']) columns.matrices.set(key, { shape: [2, 1], data: Float32Array.of(9, 9) });
  columns.kept.set('step_h_pre', [{ shape: [2, 1], data: Float32Array.of(1, 2) }, null]);
  assert.deepEqual([...atStep(columns, 0).matrices.get('h_pre').data], [1, 2]);
  assert.equal(atStep(columns, 0).matrices.has('h_pre_std'), false);
  assert.equal(atStep(columns, 2).matrices.has('h_pre'), false);
});

test('without a step the trained stack is used, and a shorter run uses its last step', () => {
  const columns = trained(2);
  assert.equal(atStep(columns, null), columns);
  assert.deepEqual([...atStep(columns, 2).layers.get('composite_gain_fwd')], [3, 4]);
  assert.deepEqual([...columns.unknown], []);
  const untrained = createColumns();
  assert.equal(atStep(untrained, 0), untrained);
});

/** Add the metrics of steps since numerics 2: sizes at every step, CKA at the kept ones, where the second layer of the last overflows. */
function measured() {
  const columns = trained(0);
  const add = (step, values, status = {}) =>
    addFrame(columns, {
      run: 'r',
      index: columns.last + 1,
      type: 'step',
      step,
      values,
      log10: { step_act_rms: [1, 2] },
      status,
    });
  const matrix = (...values) => ({ ...typed(values), shape: '2, 2' });
  add(0, { step_act_rms: [10, 100], step_grad_rms: [1, 2], step_cka: matrix(1, 0.5, 0.5, 1) });
  add(1, { step_act_rms: [20, null], step_grad_rms: [3, 4] }, { step_act_rms: { 1: 'overflow' } });
  add(
    2,
    { step_act_rms: [30, null], step_grad_rms: [5, 6], step_cka: matrix(1, NaN, NaN, NaN) },
    { step_act_rms: { 1: 'overflow' }, step_cka: { 1: 'overflow' } },
  );
  return columns;
}

test('the embedding is that of the step, or unknown', () => {
  const columns = measured();
  columns.input = { act_rms_streams: [5] };
  columns.stepInputs.set(2, { act_rms_streams: [7] });
  assert.deepEqual(atStep(columns, 2).input, { act_rms_streams: [7] });
  assert.deepEqual(atStep(columns, 0).input, {}, 'an earlier version did not say it');
  assert.deepEqual(atStep(columns, null).input, { act_rms_streams: [5] });
});

test('sizes and CKA are those of the step, without metrics of the trained stack', () => {
  const columns = measured();
  columns.matrices.set('cka', { shape: [2, 2], data: Float32Array.of(1, 0.9, 0.9, 1) });
  columns.status.set('cka', new Map([[0, 'constant']]));
  const shown = atStep(columns, 0);
  assert.deepEqual([...shown.layers.get('act_rms')], [10, 100]);
  assert.deepEqual([...shown.layers.get('grad_rms')], [1, 2]);
  assert.deepEqual([...shown.matrices.get('cka').data], [1, 0.5, 0.5, 1]);
  assert.equal(shown.status.has('cka'), false, 'the status of the trained stack');
  assert.equal(shown.layers.has('act_rms_streams'), false);
  assert.deepEqual(
    [...shown.unknown],
    ['cos_prev', 'composite_gain_fwd', 'act_rms_streams'],
    'what the run has and these frames lack',
  );
  const last = atStep(columns, 2);
  assert.deepEqual([...last.status.get('act_rms')], [[1, 'overflow']]);
  assert.deepEqual([...last.status.get('cka')], [[1, 'overflow']]);
  assert.equal(toTexts(last, 'act_rms')[1], '1×10²');
});

test('a step of numerics 1 has no sizes and no CKA, and those of the trained stack are removed', () => {
  const columns = trained();
  columns.matrices.set('cka', { shape: [2, 2], data: Float32Array.of(1, 0.9, 0.9, 1) });
  const shown = atStep(columns, 1);
  assert.deepEqual([...shown.unknown], ['act_rms', 'cos_prev', 'act_rms_streams', 'cka']);
  for (const table of [shown.layers, shown.log10, shown.status]) assert.equal(table.has('act_rms'), false);
  assert.equal(shown.matrices.has('cka'), false);
});

/** Add the metrics of later versions: neighbours and tokens at every step, streams and effective skip connections at the kept ones. */
function whole() {
  const columns = measured();
  const rows = (...values) => ({ ...typed(values), shape: `2, ${values.length / 2}` });
  const add = (step, values, status = {}) =>
    addFrame(columns, { run: 'r', index: columns.last + 1, type: 'step', step, values, log10: {}, status });
  columns.keptSteps.length = 0;
  columns.kept.clear();
  columns.matrices.set('unfolded', { shape: [2, 3], data: Float64Array.of(1, 0, 0, 9, 9, 0) });
  add(
    0,
    {
      step_cos_prev: [null, 0.5],
      step_act_rms_streams: rows(1, 10, 100, 0),
      step_stream_cos: [0.25, null],
      step_unfolded: rows(1, 0, 0, 2, 3, 0),
    },
    { step_stream_cos: { 1: 'nan' } },
  );
  add(1, { step_cos_prev: [null, 0.6] });
  return columns;
}

test('streams and effective skip connections are those of the kept step, with logarithms and status', () => {
  const shown = atStep(whole(), 1);
  assert.deepEqual([...shown.layers.get('cos_prev')], [NaN, 0.6]);
  assert.deepEqual(
    shown.layers.get('act_rms_streams').map((row) => [...row]),
    [
      [1, 10],
      [100, 0],
    ],
  );
  assert.deepEqual(
    shown.log10.get('act_rms_streams').map((row) => [...row]),
    [
      [0, 1],
      [2, NaN],
    ],
  );
  assert.deepEqual([...shown.layers.get('stream_cos')], [0.25, NaN]);
  assert.deepEqual([...shown.status.get('stream_cos')], [[1, 'nan']]);
  assert.deepEqual([...shown.matrices.get('unfolded').data], [1, 0, 0, 2, 3, 0]);
  assert.equal(shown.unknown.has('unfolded'), false);
});

test('a metric that the run lacks is not marked unknown at a step', () => {
  const shown = atStep(trained(), 1);
  assert.equal(shown.unknown.has('unfolded'), false);
  assert.equal(shown.unknown.has('stream_cos'), false);
});

test('a figure shows the trained stack unless at least one run has data of the step', () => {
  const template = (...keys) => ({
    data: keys.map((key) => ({ meta: { run: 0, key, fill: {} } })),
    layout: { meta: { rules } },
  });
  assert.equal(canShowStep(template('cos_prev'), [trained()], 1), false);
  assert.equal(canShowStep(template('composite_gain_fwd'), [trained()], 1), true);
  assert.equal(canShowStep(template('cos_prev'), [trained(), whole()], 1), true);
  assert.equal(canShowStep(template('unfolded'), [trained()], 1), true, 'there is nothing to follow, nor to show');
  assert.equal(canShowStep(template('cos_prev'), [createColumns()], 1), true, 'of a run that has not begun');
  assert.deepEqual(
    ['unfolded', 'act_rms_streams', 'act_rms'].map((key) => showsKept(template(key))),
    [true, true, false],
  );
});
