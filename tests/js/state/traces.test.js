import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHash, toHash } from '../../../static/js/state/hash.js';
import { dropRecordingsWithoutId, toSpecs } from '../../../static/js/state/spec.js';
import { defaultSweep, fromPairs } from '../../../static/js/state/sweep.js';
import {
  findRecordId,
  hasUnnamed,
  replacesInput,
  toRequestKey,
  tracesOf,
  withoutRecords,
  withSpec,
  withTrace,
} from '../../../static/js/state/viewtraces.js';
import { fields } from '../schema.js';
import { viewRules } from '../sent.js';

const ID = '0123456789abcdef0123';
const HASH = `v=1&runs=hc,trace&depth=8&B.name=ours&B.trace=${ID}`;
const read = (hash) => fromHash(hash, fields, viewRules);

test('the id of a recording is encoded and decoded', () => {
  const { view, problems } = read(HASH);
  assert.deepEqual(problems, []);
  assert.deepEqual(view.runs, [
    { kind: 'hc', own: {} },
    { kind: 'trace', own: {}, name: 'ours', trace: ID },
  ]);
  assert.equal(toHash(view, viewRules), HASH);
  assert.deepEqual(tracesOf(view), [ID]);
});

test('invalid recordings are reported, and the rest is kept', () => {
  for (const text of ['', 'x', ID.slice(1), `${ID}0`, ID.toUpperCase()]) {
    const { view, problems } = read(`runs=hc,trace&B.trace=${text}`);
    assert.deepEqual([view.runs[1], problems.length], [{ kind: 'trace', own: {} }, 1], text);
    assert.equal(hasUnnamed(view), true);
    assert.deepEqual(dropRecordingsWithoutId(view, viewRules).runs, [{ kind: 'hc', own: {} }]);
  }
  for (const key of ['A', 'C']) assert.equal(read(`runs=hc,trace&B.trace=${ID}&${key}.trace=${ID}`).problems.length, 1);
});

test('the request key of a recording is its id, independent of settings', () => {
  const { view } = read(HASH);
  const keys = view.runs.map((choice) => toRequestKey(fields, view, choice));
  assert.deepEqual(keys, [JSON.stringify(toSpecs(fields, view)[0]), `trace ${ID}`]);
  const deeper = { ...view, base: { depth: 9 } };
  assert.equal(toRequestKey(fields, deeper, deeper.runs[1]), keys[1]);
  assert.notEqual(toRequestKey(fields, deeper, deeper.runs[0]), keys[0]);
});

test('the id of a record is found in pasted text', () => {
  for (const text of [
    ID,
    ` ${ID}\n`,
    `http://host:8000/#v=1&runs=hc,trace&B.trace=${ID}&layer=3`,
    `http://host/api/v1/runs/${ID}/events`,
  ])
    assert.equal(findRecordId(text), ID, text);
  for (const text of ['', 'mHC', `${ID}0`, `0${ID}`, `http://host/s/${ID}`, 'x'.repeat(20)])
    assert.equal(findRecordId(text), null, text);
});

test('a recording is inserted first, with all runs at its depth', () => {
  const { view } = read('runs=hc,mhc&depth=8&B.depth=9&layer=5&interval=2-4');
  const both = withTrace(view, ID, 3);
  assert.equal(toHash(both, viewRules), `v=1&runs=trace,hc,mhc&depth=3&A.trace=${ID}`);
  assert.equal(toHash(withTrace(view, ID), viewRules), `v=1&runs=trace,hc,mhc&depth=8&A.trace=${ID}&C.depth=9`);
});

test('recordings are inserted and removed', () => {
  const { view } = read('runs=hc&depth=8');
  const both = withTrace(view, ID);
  assert.equal(toHash(both, viewRules), `v=1&runs=trace,hc&depth=8&A.trace=${ID}`);
  assert.deepEqual(withoutRecords(both, [ID]), view);
  assert.deepEqual(withoutRecords(both, ['f'.repeat(20)]), both);
});

test('a spec added to runs keeps the common settings, and gets the differing ones as its own', () => {
  const spec = { depth: 6, connection: { kind: 'mhc', streams: 2 } };
  const { view } = read(`runs=hc,trace&depth=8&B.trace=${ID}`);
  assert.equal(replacesInput(fields, view, spec), false);
  const extended = withSpec(fields, view, spec, 2);
  assert.deepEqual(extended.base, view.base);
  assert.deepEqual(extended.runs[2], { kind: 'mhc', own: { depth: 6, 'connection.streams': 2 } });
  assert.deepEqual(toSpecs(fields, extended)[1], spec);
});

test('seed and input are those of the other runs', () => {
  const spec = { seed: 3, connection: { kind: 'mhc' }, input: { tokens: 32 } };
  const { view } = read('runs=hc&input.batch=4');
  assert.equal(replacesInput(fields, view, spec), true);
  assert.deepEqual(withSpec(fields, view, spec, 1).runs[1], { kind: 'mhc', own: {} });
});

test('a spec added to recordings only gives the common settings, which sliders change', () => {
  const spec = { depth: 6, connection: { kind: 'mhc', streams: 2 } };
  const extended = withSpec(fields, read(`runs=trace&A.trace=${ID}&depth=99`).view, spec, 1);
  assert.deepEqual(extended.base, { depth: 6, 'connection.streams': 2 });
  assert.deepEqual(extended.runs[1], { kind: 'mhc', own: {} });
  assert.deepEqual(toSpecs(fields, extended), [spec]);
});

test('a sweep varies a run that has a spec', () => {
  const { view } = read(`runs=mhc,trace&B.trace=${ID}`);
  assert.equal(defaultSweep(fields, view, viewRules).run, 0);
  const problems = [];
  const pairs = new Map([
    ['map', 'B'],
    ['map.x', 'depth,4,8'],
  ]);
  assert.equal(fromPairs(pairs, fields, view, viewRules, problems), undefined);
  assert.deepEqual(problems, ['map must be the letter of a run with settings, not B']);
});
