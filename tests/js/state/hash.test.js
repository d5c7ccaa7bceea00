import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHash, toHash } from '../../../static/js/state/hash.js';
import { defaultView } from '../../../static/js/state/spec.js';
import { fields } from '../schema.js';
import { viewRules } from '../sent.js';

const views = {
  default: defaultView(viewRules),
  numbers: { ...defaultView(viewRules), base: { depth: 128, 'connection.noise': 0.05 }, cursor: 16 },
  booleans: { ...defaultView(viewRules), base: { 'connection.dynamic': true } },
  'runs of their own': {
    base: {},
    runs: [
      { kind: 'mhc', own: { 'connection.noise': 1 } },
      { kind: 'mhc', own: {} },
    ],
    cursor: null,
  },
  'a name with every trap': {
    base: {},
    runs: [
      { kind: 'mhc', own: { 'connection.noise': 1 }, name: 'π & 100 % = new' },
      { kind: 'hc', own: {} },
    ],
    cursor: null,
  },
  'a text with every trap': {
    ...defaultView(viewRules),
    base: { 'input.text': 'a=b&c#d +50% "é" 漢\nnew line, ?v=2' },
  },
  'against the first, at a step': { ...defaultView(viewRules), difference: true, step: 0 },
  'a product of its own, and views of cards': {
    ...defaultView(viewRules),
    interval: { first: 4, last: 39 },
    cards: { detail: 'interval', gain: 'linear' },
  },
  'an own value that is the default': {
    base: { 'connection.noise': 1 },
    runs: [{ kind: 'hc', own: { 'connection.noise': 0.3 } }],
    cursor: null,
  },
};

for (const [name, view] of Object.entries(views)) {
  test(`there and back: ${name}`, () => {
    assert.deepEqual(fromHash(`#${toHash(view, viewRules)}`, fields, viewRules), { view, problems: [] });
  });
}

test('the same view gives the same hash, whatever came first', () => {
  const base = { 'connection.noise': 1, seed: 3, depth: 8, 'block.heads': 2 };
  const turned = Object.fromEntries(Object.entries(base).reverse());
  const own = {
    runs: [{ kind: 'hc', own: { width: 32, 'connection.streams': 2 } }],
    cursor: 1,
    difference: true,
    step: 4,
  };
  assert.equal(toHash({ base, ...own }, viewRules), toHash({ ...own, base: turned }, viewRules));
  assert.equal(
    toHash({ base, ...own }, viewRules),
    'v=1&runs=hc&depth=8&seed=3&block.heads=2&connection.noise=1&A.width=32&A.connection.streams=2&layer=2&step=5&difference=true',
  );
});

test('an interval and views of cards can be read by people, and an interval that is none is told', () => {
  assert.equal(
    toHash(views['a product of its own, and views of cards'], viewRules),
    'v=1&interval=5-40&view.detail=interval&view.gain=linear',
  );
  for (const text of ['40-5', '0-3', '5', '5-', 'a-b', '1.5-2']) {
    const { view, problems } = fromHash(`interval=${text}`, fields, viewRules);
    assert.deepEqual([view, problems.length], [defaultView(viewRules), 1], text);
  }
});

test('the default view has an empty hash', () => assert.equal(toHash(defaultView(viewRules), viewRules), ''));

test('a hash can be read by people', () => {
  assert.equal(toHash(views.numbers, viewRules), 'v=1&depth=128&connection.noise=0.05&layer=17');
  assert.equal(toHash(views['runs of their own'], viewRules), 'v=1&runs=mhc,mhc&A.connection.noise=1');
});

test('what cannot be read is named and the rest is kept', () => {
  const { view, problems } = fromHash(
    '#v=9&depth=twelve&width_=3&connection.dynamic=yes&runs=hc,gru&layer=0&D.depth=3&seed=7&connection.kind=hc&step=0&difference=A',
    fields,
    viewRules,
  );
  assert.deepEqual(view, { ...defaultView(viewRules), base: { seed: 7 } });
  const named = problems.map((problem) => problem.split(':')[0]);
  assert.deepEqual(named.sort(), [
    'D.depth',
    'connection.dynamic',
    'connection.kind',
    'depth',
    'difference',
    'layer',
    'runs',
    'step',
    'v',
    'width_',
  ]);
});

test('a number out of bounds is left to the server, which names the bound', () => {
  assert.deepEqual(fromHash('depth=9999', fields, viewRules), {
    view: { ...defaultView(viewRules), base: { depth: 9999 } },
    problems: [],
  });
});

test('a percent sign typed by hand does not break the page', () => {
  assert.equal(fromHash('input.text=50%', fields, viewRules).view.base['input.text'], '50%');
});

test('a name can be read by people, and one that is too long or of no run is told', () => {
  const view = { ...defaultView(viewRules), runs: [{ kind: 'hc', own: {}, name: 'our baseline' }] };
  assert.equal(toHash(view, viewRules), 'v=1&runs=hc&A.name=our+baseline');
  const { view: read, problems } = fromHash(
    `runs=hc,mhc&A.name=${'x'.repeat(25)}&C.name=third&B.name=ok`,
    fields,
    viewRules,
  );
  assert.deepEqual(
    read.runs.map((choice) => choice.name),
    [undefined, 'ok'],
  );
  assert.deepEqual(
    problems.map((problem) => problem.split(':')[0]),
    ['A.name', 'C.name'],
  );
});
