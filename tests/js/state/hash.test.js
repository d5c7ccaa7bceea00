import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHash, kindsIn, presetIn, toHash, toLongTexts, toLookHash } from '../../../static/js/state/hash.js';
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
  'open sections': { ...defaultView(viewRules), open: ['mixing', 'cost'] },
  'every section closed': { ...defaultView(viewRules), open: [] },
  'an own value that is the default': {
    base: { 'connection.noise': 1 },
    runs: [{ kind: 'hc', own: { 'connection.noise': 0.3 } }],
    cursor: null,
  },
};

for (const [name, view] of Object.entries(views)) {
  test(`encoding and decoding returns the same view: ${name}`, () => {
    assert.deepEqual(fromHash(`#${toHash(view, viewRules)}`, fields, viewRules), { view, problems: [] });
  });
}

test('equal views give equal hashes, in any order', () => {
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

test('interval and views of cards are readable, and an invalid interval is reported', () => {
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

test('a hash is readable', () => {
  assert.equal(toHash(views.numbers, viewRules), 'v=1&depth=128&connection.noise=0.05&layer=17');
  assert.equal(toHash(views['runs of their own'], viewRules), 'v=1&runs=mhc,mhc&A.connection.noise=1');
});

test('invalid parts are reported and the rest is kept', () => {
  const { view, problems } = fromHash(
    '#v=9&depth=twelve&width_=3&connection.dynamic=yes&runs=hc,gru&layer=0&D.depth=3&seed=7&connection.kind=hc&step=0&difference=A',
    fields,
    viewRules,
  );
  assert.deepEqual(view, { ...defaultView(viewRules), base: { seed: 7 } });
  const named = problems.map((problem) => problem.split(/:? /)[0]);
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

test('an invalid value is reported with what is allowed and what is used instead', () => {
  const hash = 'depth=64.5&seed=x&connection.dynamic=yes&A.train.lr=fast';
  assert.deepEqual(fromHash(hash, fields, viewRules).problems, [
    'depth must be a whole number from 1 to 1024, not 64.5, so 64 is used',
    'seed must be a whole number of at least 0, not x, so 0 is used',
    'connection.dynamic must be true or false, not yes, so false is used',
    'A.train.lr must be a number above 0, not fast, so it was left out',
  ]);
  const start = { ...defaultView(viewRules), base: { depth: 8 } };
  const [problem] = fromHash('depth=deep', fields, viewRules, start).problems;
  assert.match(problem, /, so 8 is used$/, 'the value of the preset');
});

test('a number out of bounds is clamped, and the rest of the link kept', () => {
  const { view, problems } = fromHash(
    'depth=9999&seed=-3&B.connection.noise=11&layer=5000&connection.streams=2',
    fields,
    viewRules,
  );
  assert.deepEqual(view.base, { depth: 1024, 'connection.streams': 2 });
  assert.deepEqual(view.runs[1].own, { 'connection.noise': 10 });
  assert.equal(view.cursor, 1023);
  assert.deepEqual(problems, [
    'depth must be 1 to 1024, so 9999 was changed to 1024',
    'seed must be at least 0, so -3 was changed to 0',
    'B.connection.noise must be 0 to 10, so 11 was changed to 10',
    'layer 5000 is beyond the deepest run, so it was changed to 1024',
  ]);
});

test('an exclusive bound gives the default, and an interval beyond the stack is dropped', () => {
  const { view, problems } = fromHash('train.lr=0&depth=8&interval=3-9', fields, viewRules);
  assert.deepEqual(view, { ...defaultView(viewRules), base: { depth: 8 } });
  assert.deepEqual(problems, [
    'train.lr must be more than 0, so 0 was changed to 0.001',
    'interval 3-9 ends beyond the deepest run, so all 8 layers are shown',
  ]);
});

test('connections are read from the address before the schema is loaded', () => {
  assert.deepEqual(kindsIn('#v=1&runs=hc,mhc&depth=3', viewRules), ['hc', 'mhc']);
  for (const hash of ['', '#v=1', '#runs=', '#runs=hc,gru', '#runs=hc,hc,hc,hc,hc'])
    assert.equal(kindsIn(hash, viewRules), null, hash);
});

test('a typed percent sign does not break the page', () => {
  assert.equal(fromHash('input.text=50%', fields, viewRules).view.base['input.text'], '50%');
});

test('a name is readable, and a name that is too long or of no run is reported', () => {
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
    problems.map((problem) => problem.split(/:? /)[0]),
    ['A.name', 'C.name'],
  );
});

const preset = {
  base: { depth: 60 },
  runs: [
    { kind: 'hc', own: {} },
    { kind: 'mhc', own: { 'connection.noise': 1 } },
  ],
  cursor: null,
  preset: 'mhc_fig_7',
};

test('the hash of a preset names it and its runs, so that a snapshot is complete', () => {
  const hash = toHash(preset, viewRules);
  assert.equal(hash, 'v=1&preset=mhc_fig_7&runs=hc,mhc&depth=60&B.connection.noise=1');
  assert.deepEqual(fromHash(hash, fields, viewRules), { view: preset, problems: [] });
  assert.equal(presetIn(hash, viewRules), undefined);
  const first = { ...defaultView(viewRules), preset: 'default' };
  assert.deepEqual(fromHash(toHash(first, viewRules), fields, viewRules).view, first);
});

test('a preset without runs has the preset’s runs, and later keys change them', () => {
  const hash = 'preset=mhc_fig_7&depth=64&layer=3';
  assert.equal(presetIn(hash, viewRules), 'mhc_fig_7');
  const { view, problems } = fromHash(hash, fields, viewRules, preset);
  assert.deepEqual(problems, []);
  assert.deepEqual(view, { ...preset, base: {}, cursor: 2 });
  assert.deepEqual(preset.base, { depth: 60 }, 'the preset itself stays');
});

test('the hash after a preset’s address contains how it is shown, if that differs from its default', () => {
  const start = { ...preset, cards: { similarity: 'tokens' } };
  assert.equal(toLookHash(start, viewRules, start), '');
  const looked = {
    ...start,
    cursor: 4,
    cards: { similarity: 'layers', gain: 'linear' },
    runs: preset.runs.with(0, { ...preset.runs[0], name: 'ours' }),
  };
  const hash = toLookHash(looked, viewRules, start);
  assert.equal(hash, 'v=1&A.name=ours&layer=5&view.gain=linear&view.similarity=layers');
  assert.deepEqual(fromHash(hash, fields, viewRules, start).view, looked);
});

test('a text that is too long for an address is omitted, listed, and read from the history state', () => {
  const text = 'long '.repeat(40_000);
  const view = {
    ...defaultView(viewRules),
    base: { depth: 8, 'input.text': text },
    runs: [{ kind: 'hc', own: { 'input.text': `${text}!` } }],
  };
  const hash = toHash(view, viewRules);
  assert.equal(hash, 'v=1&runs=hc&depth=8&omitted=input.text,A.input.text');
  assert.deepEqual(fromHash(hash, fields, viewRules, undefined, toLongTexts(view, viewRules)), { view, problems: [] });
  const alone = fromHash(hash, fields, viewRules);
  assert.deepEqual(alone.view.base, { depth: 8 });
  assert.deepEqual(
    alone.problems.map((problem) => problem.split(/:? /)[0]),
    ['input.text', 'A.input.text'],
  );
});

test('unknown sections are reported, and the others are opened', () => {
  const { view, problems } = fromHash('open=cost,attic', fields, viewRules);
  assert.deepEqual(view.open, ['cost']);
  assert.match(problems.join(), /open: got attic, wanted mixing, /);
});
