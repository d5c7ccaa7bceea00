import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  appliesTo,
  defaultView,
  fromSpecs,
  groupKinds,
  hasSingleValue,
  nearestStop,
  stopsOf,
  titleInSentence,
  toDifferences,
  toFields,
  toLabels,
  toSpecs,
  toStops,
} from '../../../static/js/state/spec.js';
import { fields } from '../schema.js';
import { viewRules } from '../sent.js';

const choice = (kind, own = {}) => ({ kind, own });
const field = (path) => fields.get(path);

test('the specs of the default view contain only the three connections', () => {
  assert.deepEqual(
    toSpecs(fields, defaultView(viewRules)),
    ['residual', 'hc', 'mhc'].map((kind) => ({ connection: { kind } })),
  );
});

test('connections are listed in the groups of the server, each once', () => {
  const kinds = Object.keys(viewRules.connections);
  const groups = groupKinds(kinds, viewRules.groups);
  assert.deepEqual(groups.flatMap((group) => group.kinds).sort(), kinds.toSorted());
  assert.deepEqual(groups[0], { title: 'One stream', kinds: ['none', 'residual', 'laurel'] });
  assert.deepEqual(groupKinds(['mhc', 'none'], viewRules.groups), [
    { title: 'One stream', kinds: ['none'] },
    { title: 'Doubly stochastic', kinds: ['mhc'] },
  ]);
});

test('a setting is part of only those specs to which it applies', () => {
  const view = {
    base: { 'connection.noise': 1, depth: 8 },
    runs: [choice('residual'), choice('hc'), choice('mhc', { 'connection.sinkhorn_iters': 3 })],
    cursor: null,
  };
  assert.deepEqual(toSpecs(fields, view), [
    { depth: 8, connection: { kind: 'residual' } },
    { depth: 8, connection: { kind: 'hc', noise: 1 } },
    { depth: 8, connection: { kind: 'mhc', noise: 1, sinkhorn_iters: 3 } },
  ]);
});

test('a condition above zero compares a number instead of a list', () => {
  const view = defaultView(viewRules);
  assert.equal(appliesTo(fields, view, choice('mhc'), field('train.lr')), false);
  assert.equal(appliesTo(fields, { ...view, base: { 'train.steps': 2 } }, choice('mhc'), field('train.lr')), true);
});

test('a setting applies if one of its alternatives holds', () => {
  const block = {
    kind: { enum: ['mlp', 'pair'], default: 'mlp' },
    norm_position: { enum: ['pre', 'none'], default: 'pre' },
    norm: {
      enum: ['rmsnorm', 'layernorm'],
      default: 'rmsnorm',
      applies: [{ 'block.norm_position': ['pre'] }, { 'block.kind': ['pair'] }],
    },
  };
  const known = toFields({ properties: { block: { $ref: '#/$defs/Block' } }, $defs: { Block: { properties: block } } });
  const applies = (kind, position) =>
    appliesTo(
      known,
      { ...defaultView(viewRules), base: { 'block.kind': kind, 'block.norm_position': position } },
      choice('mhc'),
      known.get('block.norm'),
    );
  assert.deepEqual(
    [applies('mlp', 'pre'), applies('mlp', 'none'), applies('pair', 'pre'), applies('pair', 'none')],
    [true, false, true, true],
  );
});

test('a field with one possible value needs no control', () => {
  assert.equal(hasSingleValue(field('train.steps')), true);
  assert.equal(hasSingleValue(field('depth')), false);
});

test('specs become a view: what all share is common, the rest their own', () => {
  const view = {
    base: { depth: 8, 'connection.noise': 1 },
    runs: [choice('residual'), choice('hc', { 'connection.streams': 2 }), choice('mhc', { 'connection.streams': 8 })],
    cursor: null,
  };
  assert.deepEqual(fromSpecs(fields, toSpecs(fields, view)), view);
});

test('a default among own settings is omitted, so that the specs stay equal', () => {
  const specs = [0, 3, 20].map((iters) => ({ connection: { kind: 'mhc', sinkhorn_iters: iters } }));
  const view = fromSpecs(fields, specs);
  assert.deepEqual(
    toSpecs(fields, view).map((spec) => spec.connection.sinkhorn_iters),
    [0, 3, undefined],
  );
});

test('labels distinguish runs of one kind', () => {
  assert.deepEqual(toLabels(defaultView(viewRules), fields, viewRules), ['A Residual', 'B HC', 'C mHC']);
  const twins = { base: {}, runs: [choice('mhc', { 'connection.noise': 1 }), choice('mhc')], cursor: null };
  assert.deepEqual(toLabels(twins, fields, viewRules), ['A mHC 1', 'B mHC 0.3']);
  const three = [1, 2, 2].map((seed) => choice('residual', { seed }));
  three[2].own.depth = 8;
  assert.deepEqual(
    toLabels({ base: {}, runs: three, cursor: null }, fields, viewRules),
    ['A Residual 1', 'B Residual 2', 'C Residual 2 8'],
    'one setting is not enough',
  );
  const pairs = [...three.slice(0, 2), choice('hc', { 'connection.noise': 0 }), choice('hc')];
  assert.deepEqual(
    toLabels({ base: {}, runs: pairs, cursor: null }, fields, viewRules),
    ['A Residual 1', 'B Residual 2', 'C HC 0', 'D HC 0.3'],
    'settings that distinguish runs of another method are not used here',
  );
});

test('within a sentence a title keeps the capitals of names', () => {
  const inner = (title) => titleInSentence({ title });
  assert.deepEqual(['Depth', 'Drift σ', 'Sinkhorn rounds', 'MLP ratio'].map(inner), [
    'depth',
    'drift σ',
    'Sinkhorn rounds',
    'MLP ratio',
  ]);
});

test('stops of a slider include both ends and small values, without rounding errors', () => {
  const depth = toStops(1, 1024, 1);
  assert.deepEqual([depth[0], depth.at(-1)], [1, 1024]);
  for (const usual of [12, 24, 32, 64, 128, 256, 512]) assert.ok(depth.includes(usual), String(usual));
  assert.ok(depth.length < 160);
  assert.deepEqual(
    depth,
    [...depth].sort((a, b) => a - b),
  );
  const noise = toStops(0, 10, 0.05);
  assert.ok(noise.includes(0.3) && noise.includes(0.15));
  assert.ok(toStops(4, 4096, 4).every((width) => width % 4 === 0));
  assert.deepEqual(toStops(1, 4, 1), [1, 2, 3, 4]);
  const stops = stopsOf({ path: 'connection.noise', min: 0, max: 10, step: 0.05 });
  assert.deepEqual([stops.length, stops.at(-1)], [21, 1], 'larger drifts are typed');
  assert.equal(stopsOf({ path: 'connection.streams', min: 1, max: 16, step: 1 }).at(-1), 16);
});

test('a value between two stops takes the nearer', () => {
  assert.equal(nearestStop([1, 2, 4, 8], 5), 2);
  assert.equal(nearestStop([1, 2, 4, 8], 100), 3);
});

test('settings in which runs differ are listed, for runs to which they apply', () => {
  const runs = [choice('residual'), choice('hc', { 'connection.noise': 1 }), choice('mhc', { depth: 8 })];
  const found = toDifferences(fields, { base: { 'connection.streams': 8 }, runs, cursor: null });
  assert.deepEqual(
    found.map(({ field: { path }, values }) => [path, values]),
    [
      ['depth', [64, 64, 8]],
      ['connection.kind', ['residual', 'hc', 'mhc']],
      ['connection.noise', [null, 1, 0.3]],
    ],
  );
});

test('a name replaces the default label of a run', () => {
  const view = {
    base: {},
    runs: [{ ...choice('mhc'), name: 'ours' }, choice('mhc', { 'connection.noise': 1 })],
    cursor: null,
  };
  assert.deepEqual(toLabels(view, fields, viewRules), ['A ours', 'B mHC 1']);
  assert.deepEqual(
    toSpecs(fields, view),
    toSpecs(fields, { ...view, runs: view.runs.map(({ kind, own }) => ({ kind, own })) }),
    'a name is no setting',
  );
});
