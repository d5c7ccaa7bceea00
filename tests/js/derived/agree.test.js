import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createColumns } from '../../../static/js/data/columns.js';
import { findDifferences } from '../../../static/js/derived/agree.js';

const RULES = /** @type {any} */ ({ relative: { composite_sigma2: 1e-5 }, absolute: ['token_cos'] });

/** Create columns with these layers. */
function columns(layers, bands = {}) {
  const found = createColumns();
  for (const [key, values] of Object.entries(layers)) found.layers.set(key, Float64Array.from(values));
  for (const [key, band] of Object.entries(bands)) found.bands.set(key, { p50: Float64Array.from(band) });
  return found;
}

test('columns agree to 1e-6 of their values', () => {
  const computed = columns({ act_rms: [1000, NaN], token_cos: [1e-9, 0.5] });
  assert.deepEqual(
    findDifferences(columns({ act_rms: [1000.0009, NaN], token_cos: [9e-7, 0.5] }), computed, RULES),
    [],
  );
  const [act, cos] = findDifferences(columns({ act_rms: [1000.002, NaN], token_cos: [2e-6, 0.5] }), computed, RULES);
  assert.match(act, /^act_rms\[0\]: 1000.002 derived, 1000 on the server/);
  assert.match(cos, /^token_cos\[0\]/);
});

test('small values agree relative to themselves, unless the metric is promised absolutely', () => {
  assert.equal(findDifferences(columns({ grad_rms: [1e-9] }), columns({ grad_rms: [1.1e-9] }), RULES).length, 1);
});

test('products of many layers agree to the precision that their metric promises', () => {
  const computed = columns({ composite_sigma2: [1e-11] });
  assert.deepEqual(findDifferences(columns({ composite_sigma2: [1.000005e-11] }), computed, RULES), []);
  assert.equal(findDifferences(columns({ composite_sigma2: [1.00002e-11] }), computed, RULES).length, 1);
});

test('a missing number, column, layer or band is a difference', () => {
  const computed = columns({ act_rms: [1, 2] }, { act_rms: [1, 2] });
  assert.equal(findDifferences(columns({ act_rms: [1, NaN] }), computed, RULES).length, 1);
  assert.equal(findDifferences(columns({ act_rms: [1] }), computed, RULES).length, 1);
  assert.equal(findDifferences(columns({ grad_rms: [1, 2] }), computed, RULES).length, 1);
  assert.equal(findDifferences(columns({}, { act_rms: [1, 3] }), computed, RULES).length, 1);
});

test('logarithms agree absolutely, and are ignored for possible rounding errors', () => {
  const computed = columns({ act_rms: [NaN], token_cos: [1e-8] });
  const known = columns({ act_rms: [NaN], token_cos: [2e-8] });
  for (const [item, log10] of [
    [computed, 400],
    [known, 400.1],
  ]) {
    item.log10.set('act_rms', Float64Array.of(log10));
    item.log10.set('token_cos', Float64Array.of(log10));
  }
  assert.deepEqual(findDifferences(known, computed, RULES), ['log10 act_rms[0]: 400.1 derived, 400 on the server']);
});
