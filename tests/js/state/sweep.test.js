import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHash, toHash } from '../../../static/js/state/hash.js';
import { defaultView } from '../../../static/js/state/spec.js';
import {
  chooseValues,
  defaultSweep,
  fromPairs,
  parseValues,
  sweepableFields,
  toPairs,
  toSweepBody,
} from '../../../static/js/state/sweep.js';
import { fields } from '../schema.js';
import { viewRules } from '../sent.js';

const field = (rest) => ({ type: 'integer', initial: 0, min: 0, max: 1, step: 1, ...rest });

test('default values span the range of a field, denser near its lower end', () => {
  assert.deepEqual(chooseValues(field({ initial: 64, min: 1, max: 1024 })), [8, 16, 32, 64, 128, 256]);
  assert.deepEqual(chooseValues(field({ initial: 4, min: 1, max: 16 })), [1, 2, 4, 8, 16]);
  assert.deepEqual(chooseValues(field({ initial: 20, max: 200 })), [0, 1, 2, 5, 10, 20, 50, 100, 200]);
  assert.deepEqual(
    chooseValues(field({ initial: 0.3, max: 10, step: 0.05 })),
    [0, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  );
  assert.deepEqual(chooseValues(field({ initial: 0.5, max: 1, step: 0.05 })), [0, 0.05, 0.1, 0.25, 0.5, 1]);
  assert.deepEqual(chooseValues(field({ max: 2 ** 32 - 1 })), [0, 1, 2, 3, 4, 5, 6, 7]);
});

test('values are parsed as unique numbers', () => {
  assert.deepEqual(parseValues('8, 16 32;16'), [8, 16, 32]);
  assert.equal(parseValues('8, x'), null);
  assert.equal(parseValues('  '), null);
});

test('the default sweep varies depth and streams of HC', () => {
  const sweep = defaultSweep(fields, defaultView(viewRules), viewRules);
  assert.deepEqual([sweep.run, sweep.x.path, sweep.y.path], [1, 'depth', 'connection.streams']);
  const residual = { ...defaultView(viewRules), runs: [{ kind: 'residual', own: {} }] };
  assert.equal(defaultSweep(fields, residual, viewRules).y, undefined, 'one stream has no expansion rate');
  assert.ok(!sweepableFields(fields, residual, 0).some((item) => item.path === 'connection.noise'));
});

test('the body of a sweep contains the spec and the axes', () => {
  const view = { ...defaultView(viewRules), base: { width: 32, depth: 9 } };
  const body = toSweepBody(fields, view, {
    run: 1,
    x: { path: 'depth', values: [2, 4] },
    metric: 'cka',
    reduce: 'max',
  });
  assert.deepEqual(body, { spec: { depth: 9, connection: { kind: 'hc' } }, x: { field: 'depth', values: [2, 4] } });
});

test('a sweep is readable in the address', () => {
  const sweep = {
    run: 1,
    x: { path: 'depth', values: [8, 16] },
    y: { path: 'connection.noise', values: [0, 0.5] },
    metric: 'cka',
    reduce: 'median',
  };
  const hash = toHash({ ...defaultView(viewRules), sweep }, viewRules);
  assert.equal(hash, 'v=1&map=B&map.x=depth,8,16&map.y=connection.noise,0,0.5&map.metric=cka&map.reduce=median');
  assert.deepEqual(fromHash(hash, fields, viewRules), { view: { ...defaultView(viewRules), sweep }, problems: [] });
  assert.equal(fromHash('v=1&depth=9', fields, viewRules).view.sweep, undefined);
  const { y: _, ...one } = sweep;
  assert.deepEqual(fromPairs(new Map(toPairs(one, viewRules)), fields, defaultView(viewRules), viewRules, []), one);
});

test('invalid parts of a sweep are reported', () => {
  for (const [hash, problem] of [
    ['map=E&map.x=depth,8', /map must be .*, not E/],
    ['map=B&map.x=dept,8', /map.x must be .*, not dept,8/],
    ['map=B&map.x=depth,8&map.y=seed,x', /map.y must be .*, not seed,x/],
    ['map=B&map.x=depth,8&map.reduce=mean', /map.reduce must be .*, not mean/],
  ]) {
    assert.match(fromHash(hash, fields, viewRules).problems.join(), problem);
  }
});
