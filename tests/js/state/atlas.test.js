import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  cellAfterKey,
  describeCell,
  describeUse,
  effectsOf,
  includesCell,
  largestEffect,
  leastShown,
  toAtlasCsv,
  toAtlasTable,
  toEdit,
  toPlace,
} from '../../../static/js/state/atlascells.js';
import { CUTS, editRules, readEdits, toEditsText } from '../../../static/js/state/editlist.js';
import '../sent.js';

/** Values by layer and stream that say where they are: 0.12 is layer 1, stream 2. */
const valuesOf = (layers, streams, start = 0) =>
  Array.from({ length: layers }, (_, layer) =>
    Array.from({ length: streams }, (_, stream) => start + (10 * (layer + 1) + stream + 1) / 100),
  );

/** Create an atlas with the ways of cutting of a family. */
function atlasOf(cuts, layers, streams) {
  return {
    run: 'x',
    status: 'done',
    done: 1,
    seeds: 1,
    loss_base: 3,
    cuts,
    loss: cuts.map((_, place) => valuesOf(layers, streams, 3 + place)),
    effect_last: cuts.map((_, place) => valuesOf(layers, streams, place)),
    output_kl: cuts.map(() => valuesOf(layers, streams).map((row) => row.map(() => null))),
  };
}

const ALL = ['zero', 'mean', 'identity'].map((act) => ({ what: act === 'identity' ? 'h_res' : 'stream', do: act }));
const mhc = { run: 1, label: 'B mHC', atlas: atlasOf(ALL, 3, 4) };
const residual = { run: 0, label: 'A Residual', atlas: atlasOf(ALL.slice(0, 2), 5, 1) };
const attention = {
  run: 2,
  label: 'C AttnRes',
  atlas: atlasOf(
    ['branch', 'source'].map((what) => ({ what, do: 'zero' })),
    3,
    3,
  ),
};
const parts = [residual, mhc];

test('a cell is an edit that the address and the server accept', () => {
  const cell = { run: 1, stream: 2, layer: 1 };
  for (const { do: act } of ALL) {
    const edit = toEdit(mhc.atlas, act, cell);
    assert.ok(editRules.does[edit.what].includes(act));
    assert.deepEqual(readEdits(toEditsText([edit])), [edit]);
    assert.ok(includesCell({ ...edit, layers: [0, 2] }, edit));
    assert.ok(!includesCell({ ...edit, index: 1 }, edit));
    assert.ok(!includesCell({ ...edit, layers: [2, 2] }, edit));
  }
  assert.deepEqual(toEdit(attention.atlas, 'zero', { run: 2, stream: 0, layer: 1 }), {
    layers: [1, 1],
    what: 'branch',
    do: 'zero',
  });
  const source = toEdit(attention.atlas, 'source', cell);
  assert.deepEqual(source, { layers: [1, 1], what: 'source', index: 2, do: 'zero' });
  assert.deepEqual(readEdits(toEditsText([source])), [source]);
  assert.deepEqual(
    Object.keys(CUTS).map((key) => toAtlasTable([attention], key).head.slice(1)),
    [['C AttnRes, branch'], [], [], ['C AttnRes, embedding', 'C AttnRes, source 2', 'C AttnRes, source 3']],
  );
  assert.equal(toEdit(residual.atlas, 'identity', cell), null);
  assert.equal(effectsOf(residual.atlas, 'identity'), null);
});

test('a cell is described with its numbers', () => {
  assert.equal(
    describeCell(mhc, 'mean', { run: 1, stream: 2, layer: 1 }),
    'B mHC: Stream 3 is replaced by its mean over tokens at layer 2: the last state differs by 123 %, the loss is 4.230 instead of 3.000',
  );
  const lost = structuredClone(mhc);
  lost.atlas.effect_last[0][1][2] = null;
  assert.match(
    describeCell(lost, 'zero', { run: 1, stream: 2, layer: 1 }),
    /the last state cannot be compared, the loss/,
  );
});

test('the map offers edits of runs alone', () => {
  assert.equal(describeUse(true, false), 'A click on a cell makes that edit.');
  assert.equal(describeUse(true, true), 'A click on a cell makes that edit; a recording cannot be edited.');
  assert.doesNotMatch(describeUse(false, true), /click|makes/);
});

test('colours span the runs, over two decades', () => {
  assert.deepEqual(
    [0, 0.001, 0.01, 0.1, 1].map((effect) => toPlace(effect, 1)),
    [0, 0, 0, 0.5, 1],
  );
  assert.equal(toPlace(leastShown(3), 3), 0);
  assert.equal(largestEffect(parts, 'zero'), 0.51);
  assert.equal(largestEffect(parts, 'identity'), 2.34);
  assert.equal(largestEffect([residual], 'identity'), 0);
});

test('arrow keys move over the rows of all runs and stay inside', () => {
  const move = (key, stream, layer, run = 1) => cellAfterKey(key, { run, stream, layer }, parts, 'zero');
  assert.deepEqual(move('ArrowRight', 0, 2), { run: 1, stream: 0, layer: 2 });
  assert.deepEqual(move('ArrowLeft', 3, 2), { run: 1, stream: 3, layer: 1 });
  assert.deepEqual(move('ArrowDown', 0, 4, 0), { run: 1, stream: 0, layer: 2 }, 'that stack is shallower');
  assert.deepEqual(move('ArrowUp', 0, 0, 0), { run: 0, stream: 0, layer: 0 });
  assert.deepEqual(move('End', 0, 0, 0), { run: 0, stream: 0, layer: 4 });
  assert.equal(move('x', 0, 0), null);
  assert.deepEqual(cellAfterKey('ArrowUp', { run: 1, stream: 0, layer: 0 }, parts, 'identity'), {
    run: 1,
    stream: 0,
    layer: 0,
  });
});

test('table and file have every number', () => {
  const { head, rows } = toAtlasTable(parts, 'zero');
  assert.deepEqual(head.slice(0, 3), ['layer', 'A Residual, stream 1', 'B mHC, stream 1']);
  assert.deepEqual(rows[1].slice(0, 3), [2, '21 %', '21 %']);
  assert.deepEqual(rows[4], [5, '51 %', '', '', '', '']);
  const lines = toAtlasCsv(parts).trim().split('\n');
  assert.equal(lines.length, 1 + 2 * 5 * 1 + 3 * 3 * 4);
  assert.equal(lines[1], '"A Residual",stream,zero,1,1,0.11,3.11,3,');
});
