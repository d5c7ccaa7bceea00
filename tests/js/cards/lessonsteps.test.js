import assert from 'node:assert/strict';
import { test } from 'node:test';
import { STEPS, sayWhy } from '../../../static/js/cards/lessonsteps.js';
import { createColumns } from '../../../static/js/data/columns.js';

const LAYERS = 64;
function runOf(kind, numbers, spec = {}) {
  const columns = createColumns();
  const source = { kind: 'spec', spec: { connection: { kind, noise: 1, sinkhorn_iters: 20 }, ...spec } };
  const findings = Object.entries(numbers).map(([key, said]) => ({ key, text: '', panel: 'gain', numbers: said }));
  Object.assign(columns, { start: { layers: LAYERS, streams: 4, source }, summary: { headline: {}, findings } });
  return columns;
}
const [one, , free] = STEPS;

test('the gains of the runs are told', () => {
  const hc = runOf('hc', { connection: { gain_fwd_log10: 3, gain_bwd_log10: 2 } });
  assert.match(sayWhy({ hc }), /becomes up to 1000 times as large\./);
  assert.match(free.say({ hc }, 0), /multiply to as much as 1000, and for the gradient on its way back to 100\./);
});

test('a gain that is not known is not told', () => {
  const hc = runOf('hc', { connection: { gain_fwd_log10: null, gain_bwd_log10: null } });
  assert.match(sayWhy({ hc }), /the mixings multiply\./);
  assert.doesNotMatch(free.say({ hc }, 0), /as much as/);
});

test('a size of a layer before an overflow is not told as that after the last', () => {
  const residual = runOf('residual', { activation: { input_rms: 1, last_rms_log10: 37 } });
  residual.layers.set('act_rms', new Float64Array(LAYERS).fill(NaN));
  assert.match(one.say({ residual }, 0), /its size changes from layer to layer/);
  residual.layers.get('act_rms')[LAYERS - 1] = 8;
  residual.summary.findings[0].numbers.last_rms_log10 = Math.log10(8);
  assert.match(one.say({ residual }, 0), /is 1 before the first layer and 8 after the last of 64\./);
});

test('numbers of several seeds are called medians', () => {
  const hc = runOf('hc', { connection: { gain_fwd_log10: 3, gain_bwd_log10: 2 } }, { seeds: 5 });
  assert.match(sayWhy({ hc }), /1000 times as large \(the median of 5 seeds\)/);
});
