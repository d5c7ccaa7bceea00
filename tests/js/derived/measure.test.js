import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createColumns } from '../../../static/js/data/columns.js';
import { measureDrift, measureRun } from '../../../static/js/derived/measure.js';

/** Create a run of three layers. */
function columns({ gains = [2, 8, 4], flags = {}, bands = null } = {}) {
  const made = createColumns();
  made.start = /** @type {any} */ ({ layers: 3, streams: 2, spec: {} });
  const put = (key, values) => {
    made.layers.set(
      key,
      Float64Array.from(values, (value) => value ?? NaN),
    );
    made.log10.set(
      key,
      Float64Array.from(values, (value) => (value === null || value === 0 ? NaN : Math.log10(value))),
    );
  };
  put('composite_gain_fwd', gains);
  put('composite_gain_bwd', [16, 4, 1]);
  put('act_rms', [1, 10, 100]);
  put('grad_rms', [5, 1, 0.5]);
  for (const [key, flag] of Object.entries(flags)) made.status.set(key, new Map(flag));
  if (bands) made.bands.set('composite_gain_fwd', { p50: Float64Array.from(bands) });
  made.loss = 5.5;
  return made;
}

const near = (value, wanted) => assert.ok(Math.abs(value - wanted) < 1e-12, `${value} is not ${wanted}`);

test('a run has one number of each kind', () => {
  const { forward, backward, activation, gradient, loss } = measureRun(columns(), null);
  near(forward.log10, Math.log10(8));
  near(backward.log10, Math.log10(16));
  near(activation.log10, 2);
  near(gradient.log10, 1);
  assert.deepEqual(loss, { value: 5.5, curve: [] });
  assert.equal(forward.curve.length, 3);
});

/** Create a run of two seeds whose gains peak at different layers: 100 and 1 at layer 2, 1 and 10,000 at layer 3. */
function twoSeeds({ numbers = null } = {}) {
  const run = columns({ bands: [0, 1, 2] });
  run.bands.set('composite_gain_bwd', /** @type {any} */ ({ p50: Float64Array.of(0.5, 0.25, 0) }));
  if (numbers)
    run.summary = /** @type {any} */ ({
      headline: {},
      findings: [
        { key: 'signal', numbers: {} },
        { key: 'connection', numbers },
      ],
    });
  return run;
}

test('for several seeds the gain is the median that the findings state', () => {
  const { forward, backward } = measureRun(twoSeeds({ numbers: { gain_fwd_log10: 3, gain_bwd_log10: 0.75 } }), null);
  near(forward.log10, 3);
  near(backward.log10, 0.75);
});

test('for several seeds without a finding about the gain there is no number', () => {
  const { forward } = measureRun(twoSeeds({ numbers: { gain_fwd_log10: null, gain_bwd_log10: null } }), null);
  assert.equal(forward.log10, null);
});

test('until the findings of several seeds arrive, the gain is that of the median curve', () => {
  near(measureRun(twoSeeds(), null).forward.log10, 2);
});

test('an unknown gain has a reason, and a gain of zero is zero', () => {
  const lost = measureRun(columns({ gains: [2, null, null], flags: { composite_gain_fwd: [[1, 'overflow']] } }), null);
  assert.deepEqual([lost.forward.log10, lost.forward.why], [null, 'overflow']);
  const zero = measureRun(columns({ gains: [0, 0, 0] }), null);
  assert.deepEqual([zero.forward.log10, zero.forward.why], [null, '0']);
});

test('for chosen layers the gain is that of their own product', () => {
  const run = columns();
  run.matrices.set('h_res', { shape: [3, 2, 2], data: Float64Array.of(1, 1, 1, 1, 3, 0, 0, 3, 0.5, 0, 0, 0.5) });
  const { forward, backward } = measureRun(run, { first: 1, last: 2 });
  near(forward.log10, Math.log10(3));
  near(backward.log10, Math.log10(1.5));
  assert.equal(forward.curve.length, 2);
  const unknown = measureRun(columns(), { first: 1, last: 2 }).forward;
  assert.deepEqual([unknown.log10, unknown.why], [null, 'unknown for these layers'], 'without matrices');
});

test('for chosen layers activation and gradient compare their ends', () => {
  const { activation, gradient } = measureRun(columns(), { first: 0, last: 1 });
  near(activation.log10, 1);
  near(gradient.log10, Math.log10(5));
});

test('an empty run has no numbers', () => {
  const { forward, activation, loss } = measureRun(createColumns(), null);
  assert.deepEqual([forward.log10, activation.log10, loss.value], [null, null, null]);
  assert.equal(forward.why, '–');
});

test('the drift of training is how far the entries of H_res moved', () => {
  const run = columns();
  assert.equal(measureDrift(run), null);
  run.kept.set('step_h_res', [{ shape: [1, 2, 2], data: Float64Array.of(1, 0, 0, 1) }]);
  run.keptSteps.push(0);
  run.matrices.set('h_res', { shape: [1, 2, 2], data: Float64Array.of(1.3, 0.1, 0, 0.7) });
  near(measureDrift(run), Math.sqrt((0.09 + 0.01 + 0.09) / 4));
  run.start.streams = 1;
  assert.equal(measureDrift(run), null);
});
