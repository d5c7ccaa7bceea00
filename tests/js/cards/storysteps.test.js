import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  describeClaim,
  describeTask,
  STEPS,
  toHeadline,
  toRuns,
  toStack,
} from '../../../static/js/cards/storysteps.js';
import { createColumns } from '../../../static/js/data/columns.js';

const WORDS = 24;

/** Create a run whose gains, log10, grow evenly to the given ones, with the given gains of layers. */
function runOf(kind, { forward = 0, backward = forward, depth = 64, streams = 4, layer, activation, spec = {} } = {}) {
  const columns = createColumns();
  const whole = { connection: { kind }, block: { norm_position: 'pre' }, depth, ...spec };
  Object.assign(columns, { start: { layers: depth, streams, spec: whole } });
  for (const [key, last] of [
    ['composite_gain_fwd', forward],
    ['composite_gain_bwd', backward],
  ]) {
    const log10 = Float64Array.from({ length: depth }, (_, layer) => (last * (layer + 1)) / depth);
    columns.log10.set(key, log10);
    columns.layers.set(
      key,
      log10.map((power) => (Math.abs(power) > 300 ? NaN : 10 ** power)),
    );
  }
  if (layer !== undefined) columns.log10.set('gain_fwd', new Float64Array(depth).fill(layer));
  if (activation) columns.log10.set('act_rms', Float64Array.from(activation));
  return columns;
}

const residual = runOf('residual', { streams: 1 });
const hc = runOf('hc', { forward: Math.log10(789.5) });
const mhc = runOf('mhc');
const all = { residual, hc, mhc };
const [one, four, free, constrained, cut, benefit] = STEPS.map(({ describe }) => describe);

test('sentences of the default view', () => {
  assert.equal(toHeadline([residual, mhc, hc].map(toStack)), 'One signal, 64 layers, three ways to connect them');
  assert.equal(
    describeClaim(all),
    'Hyper-Connections (HC) amplify a shared signal up to ×790, Manifold-Constrained Hyper-Connections (mHC) ×1.00.',
  );
  assert.match(one(all), /The input stays unchanged: gain 1\.$/);
  assert.match(four(all), /^Hyper-Connections \(HC\) use 4 streams, not one: .*H_pre.*H_res.*H_post/);
  assert.match(free(all), /Over 64 layers HC reaches ×790 here\.$/);
  assert.match(
    constrained(all),
    /^Manifold-Constrained Hyper-Connections \(mHC\) .* H_res ≥ 0, rows and columns sum to 1/,
  );
  assert.match(constrained(all), /only average streams: .*1\. So gain stays ×1\.00, HC ×790\.$/);
  assert.match(describeTask(all), /drag “Drift σ”.*×790 now/);
});

test('the text states that a product exceeds its layers only if it does, and names the layers', () => {
  const layers = "HC's free weights multiply: one layer reaches ×2.70, layers 1 to 64 together ×790.";
  assert.ok(free({ hc: runOf('hc', { forward: Math.log10(789.5), layer: Math.log10(2.7) }) }).endsWith(layers));
  const peak = runOf('hc', { layer: Math.log10(2.7) });
  peak.log10.get('composite_gain_fwd').set([Math.log10(790)], 57);
  assert.match(free({ hc: peak }), /layers 1 to 58 together ×790\.$/);
  const alone = runOf('hc', { depth: 1, forward: 0.3, layer: 0.3 });
  assert.match(free({ hc: alone }), /Over 1 layer HC reaches ×2\.00 here\.$/);
});

test('the text states that a ribbon widens only if the signal grows', () => {
  assert.match(one({ residual: runOf('residual', { depth: 2, activation: [0, 1] }) }), /so the ribbon widens/);
  assert.doesNotMatch(one({ residual: runOf('residual', { depth: 2, activation: [1, 1] }) }), /widens/);
});

test('HC with one stream is not described as mixing', () => {
  assert.match(four({ hc: runOf('hc', { streams: 1 }) }), /nothing to mix/);
});

test('the headline counts the shown runs', () => {
  assert.equal(toHeadline([residual].map(toStack)), 'One signal, 64 layers, one way to connect them');
  assert.equal(toHeadline([hc, runOf('hc', { depth: 8 })].map(toStack)), 'One signal, 8 to 64 layers, 2 runs');
  assert.equal(toHeadline([runOf('hc', { depth: 1 })].map(toStack)), 'One signal, 1 layer, one way to connect them');
  assert.equal(toHeadline([]), 'One signal, layer by layer');
});

test('sentences without numbers are left out', () => {
  assert.equal(describeClaim(toRuns([])), '');
  for (const { describe } of STEPS) assert.doesNotMatch(describe({}), /×|undefined|null|NaN/);
});

test('other connections are listed with their gains', () => {
  const runs = toRuns([runOf('frac', { forward: 2 }), runOf('kromhc')]);
  assert.equal(describeClaim(runs), 'How much mixing amplifies a shared signal: frac ×100, kromhc ×1.00.');
});

test('a recording is described by the name of its model', () => {
  const recording = runOf('none', { streams: 1 });
  recording.start = { layers: 64, streams: 1, source: { kind: 'trace', model: { name: 'Tiny_GPT' } } };
  assert.equal(
    describeClaim(toRuns([recording])),
    'How much mixing amplifies a shared signal: recording of Tiny_GPT ×1.',
  );
});

test('with a norm after the addition, the text does not state that the input stays', () => {
  const post = runOf('residual', { spec: { block: { norm_position: 'post' } } });
  assert.doesNotMatch(one({ residual: post }), /unchanged|gain/);
});

test('a cut is described by what it does to the states of the runs', () => {
  const edited = (kind, effects, seeds = 1) => {
    const columns = runOf(kind, {
      depth: 3,
      spec: { seeds, edits: [{ layers: [1, 1], what: 'stream', index: 2, do: 'zero' }] },
    });
    columns.layers.set('effect_state', Float64Array.from(effects));
    return columns;
  };
  const [ours, theirs] = [edited('hc', [0, 0.371, 0.2]), edited('mhc', [0, 0.469, 0.28])];
  const text = 'Stream 3 is cut at layer 2: the state differs by 37 % in HC, 47 % in mHC.';
  assert.equal(cut({ hc: ours, mhc: theirs }), `${text} Later layers reduce both.`);
  assert.ok(`${text} Later layers reduce both.`.split(/\s+/).length <= WORDS);
  assert.equal(cut({ hc: edited('hc', [0, 0.371, 0.4]), mhc: theirs }), text);
  const first = cut({ hc: edited('hc', [0, 0.371, 0.2], 5), mhc: edited('mhc', [0, 0.469, 0.28], 5) });
  assert.equal(first, text.replace('the state', 'the state of the first seed'), 'gains are medians');
  assert.ok(first.split(/\s+/).length <= WORDS);
  assert.match(cut({ hc: runOf('hc'), mhc: theirs }), /^A stream that is cut is 0 where it enters a layer/);
});

test('the last step states that we measured no benefit, and that papers report one', () => {
  assert.equal(
    benefit({}),
    'We measured no benefit of four streams: at equal compute, one had lower loss in all 12 comparisons. The papers report benefits for LLMs.',
  );
});

/** Create a reproducible random generator. */
function createRandom() {
  let state = 1;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}

/** Parse the gain in a text, as log10. */
function read(text) {
  const [, mantissa, power] = text.replaceAll(',', '').match(/^([\d.]+)(?:×10([⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+))?$/);
  const digits = [...(power ?? '⁰')].map((sign) => (sign === '⁻' ? '-' : '⁰¹²³⁴⁵⁶⁷⁸⁹'.indexOf(sign)));
  return Math.log10(Number(mantissa)) + Number(digits.join(''));
}

test('no sentence contradicts its numbers for 3000 random runs', () => {
  const random = createRandom();
  const spread = () => (random() - 0.4) * 10 ** (4 * random() - 1.5); // from 0.03 to 300 decades
  for (let trial = 0; trial < 3000; trial++) {
    const depth = 1 + Math.floor(200 * random());
    const bound = random() < 0.5 ? 0 : spread();
    const runs = {
      residual: runOf('residual', { depth, streams: 1 }),
      hc: runOf('hc', { depth, forward: spread(), backward: spread(), layer: random() }),
      mhc: runOf('mhc', {
        depth,
        forward: bound,
        backward: random() < 0.5 ? bound : spread(),
      }),
    };
    const peak = (columns, key) => Math.max(...columns.log10.get(key));
    const texts = [describeClaim(runs), describeTask(runs), ...STEPS.map(({ describe }) => describe(runs))];
    for (const text of texts) {
      assert.ok(text.split(/\s+/).length <= WORDS, `${text.split(/\s+/).length} words: ${text}`);
      assert.doesNotMatch(text, /undefined|null|NaN/);
      for (const [, gain] of text.matchAll(
        /(?:\(HC\) amplify a shared signal up to|HC reaches|together) ×?([\d,]+(?:\.\d+)?(?:×10[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+)?)/g,
      )) {
        const log10 = peak(runs.hc, 'composite_gain_fwd');
        assert.ok(log10 > 0, `${text}: the gain is at most 10^${log10}`);
        assert.ok(Math.abs(read(gain) - log10) < 0.06, `${text}: the gain is 10^${log10}`);
      }
      if (/do not amplify|stays at or below/.test(text)) assert.ok(peak(runs.hc, 'composite_gain_fwd') < 0.0022, text);
      if (/\(mHC\) ×1\.00\.|only average/.test(text)) {
        const both = ['composite_gain_fwd', 'composite_gain_bwd'].map((key) => peak(runs.mhc, key));
        assert.ok(
          both.every((log10) => Math.abs(log10) < 0.0022),
          `${text}: 10^${both}`,
        );
      }
      if (/not reached/.test(text)) {
        const both = ['composite_gain_fwd', 'composite_gain_bwd'].map((key) => peak(runs.mhc, key));
        assert.ok(
          both.some((log10) => Math.abs(log10) > 0.0021),
          `${text}: 10^${both}`,
        );
      }
    }
  }
});
