import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createColumns } from '../../../static/js/data/columns.js';
import { toIntervalFindings } from '../../../static/js/derived/intervalfindings.js';

const LAYERS = 4;
/** Create columns in which each layer doubles stream 1 and halves stream 2: both gains are 2 to the number of layers. */
function columnsOf(changes = {}) {
  const columns = createColumns();
  const data = Float32Array.from(Array.from({ length: LAYERS }, () => [2, 0, 0, 0.5]).flat());
  const column = (values) => Float64Array.from(values);
  Object.assign(columns, {
    start: { layers: LAYERS, streams: 2, source: { kind: 'spec' }, spec: {}, ...changes.start },
    input: { act_rms: 1 },
  });
  columns.matrices.set('h_res', { shape: [LAYERS, 2, 2], data });
  for (const key of ['composite_gain_fwd', 'composite_gain_bwd']) columns.layers.set(key, column([2, 4, 8, 16]));
  for (const [key, values] of Object.entries({ act_rms: [2, 4, 20, 200], grad_rms: [8, 4, 2, 1] })) {
    columns.layers.set(key, column(values));
    columns.log10.set(key, column(values.map(Math.log10)));
  }
  return columns;
}
const textsOf = (columns, first, last) => toIntervalFindings(columns, { first, last }).map(({ text }) => text);

test('findings about an interval equal those about a stack of its layers', () => {
  assert.deepEqual(textsOf(columnsOf(), 1, 2), [
    'The product of up to 2 mixing matrices amplifies up to ×4.00 forward and ×4.00 backward.',
    'Activations grow from 2 to 20 over 2 layers.',
    'The gradient is 2 times larger at layer 2 than at layer 3.',
  ]);
  assert.deepEqual(textsOf(columnsOf(), 0, 0), [
    'The mixing matrix amplifies up to ×2.00 forward and ×2.00 backward.',
    'Activations grow from 1.00 to 2 over 1 layer.',
  ]);
});

test('for several seeds a ratio of medians is named as such', () => {
  const seeds = columnsOf({ start: { source: { kind: 'spec', spec: { seeds: 5 } } } });
  seeds.bands.set('grad_rms', { p50: Float64Array.from([8, 4, 3.9, 1].map(Math.log10)) });
  assert.equal(
    textsOf(seeds, 0, 3).at(-1),
    'The median over 5 seeds of the gradient is 8 times larger at layer 1 than at layer 4.',
  );
  assert.equal(
    textsOf(seeds, 1, 2).at(-1),
    'The median over 5 seeds of the gradient at layer 2 is within 5 % of that at layer 3.',
  );
});

test('the gain of an interval is left out if the mixing of a layer is unknown', () => {
  const overflow = columnsOf();
  overflow.matrices.get('h_res').data.fill(NaN, 8, 12);
  assert.ok(!textsOf(overflow, 0, 3).some((text) => text.includes('mixing')));
  assert.match(textsOf(overflow, 0, 1)[0], /amplifies up to ×4/);
});

test('dynamic matrices are described as averaged', () => {
  const dynamic = columnsOf();
  dynamic.matrices.set('h_res_std', dynamic.matrices.get('h_res'));
  assert.equal(
    textsOf(dynamic, 1, 2)[0],
    'The product of up to 2 mixing matrices, averaged over tokens, amplifies up to ×4.00 forward and ×4.00 backward.',
  );
});

test('findings without recorded numbers are left out', () => {
  const seeds = columnsOf();
  for (const key of ['composite_gain_fwd', 'composite_gain_bwd']) seeds.bands.set(key, { p50: new Float64Array(4) });
  assert.equal(textsOf(seeds, 1, 2).length, 2);
  assert.equal(textsOf(columnsOf({ start: { streams: 1 } }), 1, 2).length, 2, 'a gain of 1 by design');
  assert.deepEqual(textsOf(columnsOf(), 6, 9), [], 'the stack ends below');
});
