import assert from 'node:assert/strict';
import { test } from 'node:test';
import { STEPS, sayClaim, sayHeadline, sayTask, toRuns } from '../../../static/js/cards/lessonsteps.js';
import { createColumns } from '../../../static/js/data/columns.js';

const WORDS = 24;

/** A run whose gains, in log10, go evenly from 1 to these. */
function runOf(kind, { forward = 0, backward = forward, cosine = 0.5, depth = 64, streams = 4, spec = {} } = {}) {
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
  columns.layers.set('stream_cos', new Float64Array(depth).fill(cosine));
  return columns;
}

const residual = runOf('residual', { streams: 1 });
const hc = runOf('hc', { forward: Math.log10(789.5) });
const mhc = runOf('mhc');
const all = { residual, hc, mhc };
const [one, four, free, constrained, benefit] = STEPS.map(({ say }) => say);

test('the sentences of the default view', () => {
  assert.equal(sayHeadline([residual, mhc, hc]), 'One signal, 64 layers, three ways to connect them');
  assert.equal(
    sayClaim(all),
    'Free mixing compounds: HC makes a shared signal up to 790 times larger. In mHC rows and columns sum to 1: gain ×1.00.',
  );
  assert.match(one(all), /multiplied by 1: its gain\.$/);
  assert.match(four(all), /by 4: .*H_pre.*H_res.*H_post/);
  assert.match(free(all), /within 64 layers HC reaches ×790\.$/);
  assert.match(constrained(all), /never amplifies them\. Gain ×1\.00, HC ×790\.$/);
  assert.equal(benefit(all), "mHC's 4 streams differ (similarity 0.50). No loss is measured here.");
  assert.match(sayTask(all), /drag “Drift σ”.*×790 now/);
});

test('the headline counts what is shown', () => {
  assert.equal(sayHeadline([residual]), 'One signal, 64 layers, one way to connect them');
  assert.equal(sayHeadline([hc, runOf('hc', { depth: 8 })]), 'One signal, 8 to 64 layers, 2 runs');
  assert.equal(sayHeadline([runOf('hc', { depth: 1 })]), 'One signal, 1 layer, one way to connect them');
  assert.equal(sayHeadline([]), 'One signal, layer by layer');
});

test('what has no numbers yet is not said', () => {
  assert.equal(sayClaim(toRuns([])), '');
  for (const { say } of STEPS) assert.doesNotMatch(say({}), /×|undefined|null|NaN/);
});

test('other connections are named with their gains', () => {
  const runs = toRuns([runOf('frac', { forward: 2 }), runOf('kromhc')]);
  assert.equal(sayClaim(runs), 'How much mixing amplifies a shared signal: frac ×100, kromhc ×1.00.');
});

test('a norm after the addition rescales the input, which is then not said to stay', () => {
  const post = runOf('residual', { spec: { block: { norm_position: 'post' } } });
  assert.doesNotMatch(one({ residual: post }), /multiplied by 1/);
});

test('streams that are copies are not said to differ', () => {
  assert.match(benefit({ mhc: runOf('mhc', { cosine: 0.9999 }) }), /near copies \(similarity 1\.00\)/);
});

/** Runs that were trained as many steps and have these losses. */
function trained({ residual = 2.64, hc = 2.5, mhc = 2.65, cosine = 1, steps = [200, 200, 200] }) {
  const runs = {
    residual: runOf('residual', { streams: 1, spec: { train: { steps: steps[0] } } }),
    hc: runOf('hc', { spec: { train: { steps: steps[1] } } }),
    mhc: runOf('mhc', { cosine, spec: { train: { steps: steps[2] } } }),
  };
  Object.assign(runs.residual, { loss: residual });
  Object.assign(runs.hc, { loss: hc });
  Object.assign(runs.mhc, { loss: mhc });
  return runs;
}

test('the losses of runs that are trained are compared, and no benefit is said to be none', () => {
  const text = benefit(trained({}));
  assert.equal(
    text,
    "Loss after 200 training steps (one seed): residual 2.64, HC 2.50, mHC 2.65. mHC's 4 streams are near copies (similarity 1.00): no benefit visible.",
  );
  assert.ok(text.split(/\s+/).length <= WORDS);
});

test('a benefit is not denied where the loss of mHC is lower, nor claimed', () => {
  assert.match(
    benefit(trained({ mhc: 2.6, cosine: 0.3 })),
    /mHC 2\.60\. mHC's 4 streams differ \(similarity 0\.30\)\.$/,
  );
  assert.match(benefit(trained({ mhc: 2.6404, residual: 2.6401 })), /no benefit visible\.$/);
  assert.doesNotMatch(benefit(trained({ residual: 10.1, mhc: 9.9 })), /benefit/);
});

test('losses after other numbers of steps are not compared', () => {
  assert.doesNotMatch(benefit(trained({ steps: [200, 200, 100] })), /Loss after/);
});

/** Numbers of a generator that always gives the same ones. */
function createRandom() {
  let state = 1;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}

/** The gain in a text, as a logarithm. */
function read(text) {
  const [, mantissa, power] = text.replaceAll(',', '').match(/^([\d.]+)(?:×10([⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+))?$/);
  const digits = [...(power ?? '⁰')].map((sign) => (sign === '⁻' ? '-' : '⁰¹²³⁴⁵⁶⁷⁸⁹'.indexOf(sign)));
  return Math.log10(Number(mantissa)) + Number(digits.join(''));
}

test('of 3000 random runs no sentence says what its numbers deny', () => {
  const random = createRandom();
  const spread = () => (random() - 0.4) * 10 ** (4 * random() - 1.5); // from 0.03 to 300 decades
  for (let trial = 0; trial < 3000; trial++) {
    const depth = 1 + Math.floor(200 * random());
    const bound = random() < 0.5 ? 0 : spread();
    const runs = {
      residual: runOf('residual', { depth, streams: 1 }),
      hc: runOf('hc', { depth, forward: spread(), backward: spread() }),
      mhc: runOf('mhc', {
        depth,
        forward: bound,
        backward: random() < 0.5 ? bound : spread(),
        cosine: 2 * random() - 1,
      }),
    };
    const peak = (columns, key) => Math.max(...columns.log10.get(key));
    const texts = [sayClaim(runs), sayTask(runs), ...STEPS.map(({ say }) => say(runs))];
    for (const text of texts) {
      assert.ok(text.split(/\s+/).length <= WORDS, `${text.split(/\s+/).length} words: ${text}`);
      assert.doesNotMatch(text, /undefined|null|NaN/);
      for (const [, gain] of text.matchAll(
        /HC (?:makes a shared signal up to|reaches) ×?([\d,]+(?:\.\d+)?(?:×10[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+)?)/g,
      )) {
        const log10 = peak(runs.hc, 'composite_gain_fwd');
        assert.ok(log10 > 0, `${text}: the gain is at most 10^${log10}`);
        assert.ok(Math.abs(read(gain) - log10) < 0.06, `${text}: the gain is 10^${log10}`);
      }
      if (/does not amplify|stays at or below/.test(text))
        assert.ok(peak(runs.hc, 'composite_gain_fwd') < 0.0022, text);
      if (/columns sum to 1:|never amplifies/.test(text)) {
        const both = ['composite_gain_fwd', 'composite_gain_bwd'].map((key) => peak(runs.mhc, key));
        assert.ok(
          both.every((log10) => Math.abs(log10) < 0.0022),
          `${text}: 10^${both}`,
        );
      }
      if (/do not reach/.test(text)) {
        const both = ['composite_gain_fwd', 'composite_gain_bwd'].map((key) => peak(runs.mhc, key));
        assert.ok(
          both.some((log10) => Math.abs(log10) > 0.0021),
          `${text}: 10^${both}`,
        );
      }
    }
  }
});
