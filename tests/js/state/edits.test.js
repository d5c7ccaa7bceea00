import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { applyEdits } from '../../../static/js/derived/edits.js';
import {
  countParts,
  describeEdit,
  distinguishEdits,
  editRules,
  listOpenCuts,
  moveEdit,
  readEdits,
  toEditsText,
  toggleEdit,
  whyNot,
  withEntry,
  withRow,
} from '../../../static/js/state/editlist.js';
import { fromHash, toHash } from '../../../static/js/state/hash.js';
import {
  defaultView,
  fromSpecs,
  toDifferences,
  toFullLabels,
  toLabels,
  toSpecs,
} from '../../../static/js/state/spec.js';
import { fields } from '../schema.js';
import { viewRules } from '../sent.js';

const CUT = { layers: [19, 38], what: 'stream', index: 1, do: 'zero' };
const RESTORE = { layers: [39, 39], what: 'stream', index: 1, do: 'restore' };
const TEXT = 'stream:2:zero:20-39,stream:2:restore:40';
const STACK = { depth: 64, streams: 4, has_mixing: true, has_streams: true, has_parts: false, block: 1 };

const texts = [
  '',
  TEXT,
  'off:stream:1:zero:1',
  'stream:1:scale:-0.5:3-4,stream:1:swap:3:5,stream:4:noise:1e-7:6',
  'state:mean:2,branch:freeze:1-9',
  'h_res:set:1_0_0.25_-3e-9:20,h_res:2:set:0.5_0.5:20,h_res:1:swap:2:7,h_res:top_k:2:8,h_res:identity:9,h_res:3:identity:9,h_post:3:zero:1',
];

for (const text of texts) {
  test(`edits are read and written without loss: ${text || 'none'}`, () => {
    assert.equal(toEditsText(readEdits(text)), text);
    const view = { ...defaultView(viewRules), base: text ? { edits: text } : {} };
    const hash = toHash(view, viewRules);
    assert.deepEqual(fromHash(hash, fields, viewRules), { view, problems: [] });
    assert.ok(!hash.includes('%'), hash);
  });
}

for (const text of [
  'x',
  'stream:zero:20',
  'stream:0:zero:20',
  'stream:2:zero:0',
  'stream:2:zero:9-3',
  'stream:2:zero',
  'stream:2:identity:3',
  'stream:2:scale:3',
  'stream:2:scale::3',
  'stream:2:scale:x:3',
  'stream:2:zero:3:4',
  'state:1:zero:3',
  'h_pre:1:top_k:2:3',
  'h_res:swap:2:3',
  'h_res:set:1__2:3',
  'bend:2:zero:3',
  `${TEXT},`,
  Array(65).fill('stream:1:zero:1').join(','),
]) {
  test(`what is not an edit is reported and left out: ${text.slice(0, 40)}`, () => {
    assert.equal(readEdits(text), null);
    const { view, problems } = fromHash(`edits=${text}`, fields, viewRules);
    assert.deepEqual(view, defaultView(viewRules));
    assert.deepEqual(problems, [`edits must be written like stream:2:zero:20-39, not ${text}, so it was left out`]);
  });
}

test('runs get the edits that fit their stack, in the form of the API', () => {
  const view = { ...defaultView(viewRules), base: { edits: TEXT } };
  const [residual, ...others] = toSpecs(fields, view);
  assert.equal(view.runs[0].kind, 'residual');
  assert.equal(residual.edits, undefined);
  for (const spec of others) assert.deepEqual(spec.edits, [CUT, RESTORE]);
});

test('an edit that is off, or beyond the last layer or stream, stays in the view and is not sent', () => {
  const runs = [{ kind: 'mhc', own: {} }];
  const specOf = (base) => toSpecs(fields, { base, runs, cursor: null })[0];
  assert.deepEqual(specOf({ edits: `off:${TEXT}` }).edits, [RESTORE]);
  assert.deepEqual(specOf({ edits: TEXT, depth: 39 }).edits, [CUT]);
  assert.equal(specOf({ edits: TEXT, depth: 38 }).edits, undefined);
  assert.equal(specOf({ edits: TEXT, 'connection.streams': 1 }).edits, undefined);
});

test('the view of specs with edits has them for all runs, or for the one that has them', () => {
  const [with_, without] = [
    { connection: { kind: 'mhc' }, edits: [CUT, { ...RESTORE, value: null }] },
    { connection: { kind: 'mhc' }, edits: [] },
  ];
  assert.deepEqual(fromSpecs(fields, [with_, with_]).base, { edits: TEXT });
  const view = fromSpecs(fields, [without, with_]);
  assert.deepEqual(view.runs, [
    { kind: 'mhc', own: {} },
    { kind: 'mhc', own: { edits: TEXT } },
  ]);
  assert.deepEqual(
    toSpecs(fields, view).map(({ edits }) => edits),
    [undefined, [CUT, RESTORE]],
  );
  assert.deepEqual(toLabels(view, fields, viewRules), ['A mHC no edits', 'B mHC cut stream 2, layers 20–39 (+1)']);
  assert.deepEqual(
    toDifferences(fields, view).map(({ field }) => field.path),
    ['edits'],
  );
});

test('reasons why a stack cannot have an edit', () => {
  const reasonOf = (text, stack) => whyNot(readEdits(text)[0], { ...STACK, ...stack });
  assert.equal(reasonOf(TEXT, {}), '');
  assert.equal(reasonOf(TEXT, { depth: 39 }), '');
  assert.equal(reasonOf(TEXT, { depth: 38 }), 'has 38 layers');
  assert.equal(reasonOf(TEXT, { streams: 1, has_streams: false }), 'has one stream');
  assert.equal(reasonOf('stream:1:zero:3', { streams: 1, has_streams: false }), '');
  assert.equal(reasonOf('stream:1:swap:5:3', {}), 'has 4 streams');
  assert.equal(reasonOf('h_res:identity:3', { streams: 1, has_streams: false }), 'has no mixing matrix');
  assert.equal(
    reasonOf('stream:1:zero:3', { streams: 1, has_streams: false, has_mixing: false }),
    'does not mix streams',
  );
  assert.equal(reasonOf('branch:zero:3', { streams: 1, has_streams: false, has_mixing: false }), '');
  assert.equal(reasonOf('h_res:1:set:1_0_0:3', {}), 'has 4 streams');
  assert.equal(reasonOf('h_pre:1:set:1_0_0_0:3', { has_parts: true }), '');
  assert.equal(reasonOf('h_pre:1:set:1:3', {}), '');
});

test('reasons why weights over depth cannot be edited', () => {
  const over = { streams: 1, has_streams: false, has_mixing: false, weighs_after: 'layer' };
  const reasonOf = (text, stack) => whyNot(readEdits(text)[0], { ...STACK, ...over, ...stack });
  assert.equal(reasonOf('source:1:zero:2-64', {}), '');
  assert.equal(reasonOf('source:4:zero:4', {}), '');
  assert.equal(reasonOf('source:4:zero:3', {}), 'weighs 3 sources at layer 3');
  assert.equal(reasonOf('source:1:zero:1-3', {}), 'reads the embedding alone at layer 1');
  assert.equal(reasonOf('source:3:zero:4', { block: 2 }), '');
  assert.equal(reasonOf('source:3:zero:4', { block: 2, has_full_blocks: true }), 'weighs 2 sources at layer 4');
  assert.equal(reasonOf('source:set:1_0_0:3', {}), '');
  assert.equal(reasonOf('source:set:1_0_0:3-4', {}), 'weighs 3 sources at layer 3');
  assert.equal(reasonOf('source:top_k:3:2', {}), 'weighs 2 sources at layer 2');
  assert.equal(reasonOf('source:1:zero:2', { weighs_after: null }), 'does not weigh earlier outputs');
  const averaged = { weighs_after: 'block', block: 2 };
  assert.equal(reasonOf('source:2:zero:3-6', averaged), '');
  assert.equal(reasonOf('source:zero:4', averaged), 'weighs no sources at layer 4');
  assert.equal(reasonOf('source:3:zero:3', averaged), 'weighs 2 sources at layer 3');
});

test('what an atlas cuts is counted', () => {
  assert.equal(countParts('stream', STACK), 64 * 4);
  assert.equal(countParts('branch', STACK), 64);
  assert.equal(countParts('source', { ...STACK, depth: 4 }), 2 + 3 + 4);
  assert.equal(countParts('source', { ...STACK, depth: 5, weighs_after: 'block', block: 2 }), 2 + 3);
});

test('a cut and its restoring are set and removed by the same act', () => {
  const cut = toggleEdit([], 'zero', 1, 19);
  assert.equal(toEditsText(cut), 'stream:2:zero:20');
  assert.deepEqual(listOpenCuts(cut), [0]);
  const longer = moveEdit(cut, 0, 30, 19);
  assert.equal(toEditsText(longer), 'stream:2:zero:20-31');
  const restored = toggleEdit(longer, 'restore', 1, 39);
  assert.equal(toEditsText(restored), 'stream:2:zero:20-31,stream:2:restore:40');
  assert.deepEqual(listOpenCuts(restored), []);
  assert.equal(toEditsText(toggleEdit(restored, 'zero', 1, 25)), 'stream:2:restore:40');
  assert.equal(toEditsText(toggleEdit(restored, 'restore', 1, 39)), 'stream:2:zero:20-31');
  assert.equal(toEditsText(toggleEdit(restored, 'zero', 0, 25)), `${toEditsText(restored)},stream:1:zero:26`);
});

test('every edit has words', () => {
  const words = Object.fromEntries(
    Object.entries(editRules.does).flatMap(([what, acts]) =>
      acts.map((act) => {
        const more =
          { scale: { value: 0.12345 }, noise: { value: 2 }, swap: { index: 0, other: 2 }, top_k: { k: 2 } }[act] ?? {};
        return [
          `${what} ${act}`,
          describeEdit({ layers: [2, 4], what, do: act, ...(what === 'stream' ? { index: 1 } : {}), ...more }),
        ];
      }),
    ),
  );
  for (const text of Object.values(words)) assert.doesNotMatch(text, /undefined|null|NaN/);
  assert.equal(words['stream zero'], 'Stream 2 is cut at layers 3 to 5');
  assert.equal(words['h_res swap'], 'Row 1 of H_res is exchanged with row 3 at layers 3 to 5');
  assert.equal(words['branch noise'], 'The branch’s output gets noise of 2 times its rms at layers 3 to 5');
  assert.equal(words['h_post scale'], 'H_post is multiplied by 0.123 at layers 3 to 5');
  assert.equal(words['source zero'], 'The weighting over depth is set to 0 at layers 3 to 5');
  assert.equal(words['source swap'], 'The weight of the embedding is exchanged with that of source 3 at layers 3 to 5');
  assert.equal(words['h_res top_k'], 'H_res keeps its 2 largest entries in each row at layers 3 to 5');
});

test('edits have short names, which hold what distinguishes runs', () => {
  const cases = JSON.parse(readFileSync(new URL('../../edit_names.json', import.meta.url), 'utf8'));
  for (const { runs, names } of cases) assert.deepEqual(distinguishEdits(runs), names);
});

test('the label of a run names the edits that it is computed with, and its full label has them in sentences', () => {
  const own = (edits) => ({ kind: 'mhc', own: { edits } });
  const view = {
    base: {},
    runs: [own('stream:2:zero:20,off:stream:1:zero:2'), own('h_res:identity:1-6')],
    cursor: null,
  };
  assert.deepEqual(toLabels(view, fields, viewRules), ['A mHC cut stream 2, layer 20', 'B mHC identity, layers 1–6']);
  assert.deepEqual(toFullLabels(view, fields, viewRules), [
    'A mHC Stream 2 is cut at layer 20',
    'B mHC H_res is replaced by the identity at layers 1 to 6',
  ]);
  const shallow = { ...view, base: { depth: 12 } };
  assert.equal(toLabels(shallow, fields, viewRules)[0], 'A mHC no edits', 'layer 20 does not exist');
});

test('recordings of a model that differ in edits are labelled by them', () => {
  const view = { base: {}, runs: Array(3).fill({ kind: 'trace', own: {}, trace: '0' }), cursor: null };
  const cut = [{ layers: [1, 1], what: 'branch', do: 'zero' }];
  const label = (models, recorded) => toLabels(view, fields, viewRules, models, recorded);
  assert.deepEqual(label(['GPT2LMHeadModel', 'GPT2LMHeadModel', 'BERT'], [cut, [], cut]), [
    'A GPT2LM…Model branch = 0, layer 2',
    'B GPT2LM…Model no edits',
    'C BERT',
  ]);
  assert.deepEqual(label(['GPT2', 'GPT2', 'GPT2'], [cut, cut, cut]), ['A GPT2', 'B GPT2', 'C GPT2']);
});

/** H_res of one layer with three streams after edits. */
function mixEdited(edits) {
  const mixing = {
    h_res: { shape: [1, 3, 3], data: [0.5, 0.25, 0.125, 1, 2, 3, -1, 0, 4] },
    h_pre: { shape: [1, 3], data: [1, 1, 1] },
    h_post: { shape: [1, 3], data: [1, 1, 1] },
  };
  return Array.from(applyEdits(mixing, edits, Number).h_res.data);
}

test('setting an entry of H_res keeps all others, also before the shown matrix has the last edits', () => {
  const shown = [1, 2, 3];
  let edits = [{ layers: [0, 0], what: 'h_res', index: 0, do: 'uniform' }];
  for (const before of ['set', 'uniform', 'identity']) {
    edits = before === 'set' ? edits : withRow(edits, 0, 1, { do: before });
    const expected = mixEdited(edits).with(5, 6);
    edits = withEntry(edits, 0, 1, 2, 6, shown);
    assert.deepEqual(mixEdited(edits), expected, before);
    assert.equal(edits.length, 2, 'edits of a row that have no effect are removed');
  }
  assert.deepEqual(mixEdited(edits).slice(3, 6), [0, 1, 6]);
});

test('a row that becomes uniform keeps its sum', () => {
  const edits = withRow(withEntry([], 0, 1, 0, 4, [1, 2, 3]), 0, 1, { do: 'uniform' });
  assert.deepEqual(mixEdited(edits).slice(3, 6), [3, 3, 3]);
  const again = withRow(edits, 0, 1, { do: 'identity' });
  assert.deepEqual(again, [{ layers: [0, 0], what: 'h_res', index: 1, do: 'identity' }]);
});

test('a row of another layer, of several layers, or that is off stays as it is', () => {
  const row = { layers: [0, 0], what: 'h_res', index: 1, do: 'identity' };
  for (const other of [
    { ...row, layers: [1, 1] },
    { ...row, layers: [0, 1] },
    { ...row, index: 0 },
    { ...row, isOff: true },
  ]) {
    assert.deepEqual(withRow([other], 0, 1, { do: 'set', values: [1, 2, 3] })[0], other);
  }
});
