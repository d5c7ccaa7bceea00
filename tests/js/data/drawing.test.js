import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addFrame, createColumns } from '../../../static/js/data/columns.js';
import { choose, haveClimbed, shownOf } from '../../../static/js/data/drawing.js';

const TEMPLATE = /** @type {any} */ ({ data: [{ meta: { run: 0, key: 'act_rms' } }] });

/** A run of so many layers that are in, whole or not. */
function run(layers, isWhole) {
  const columns = createColumns();
  let index = 0;
  const add = (type, data) => addFrame(columns, { run: 'r', index: index++, type, ...data });
  add('start', { layers: 4, streams: 1, spec: {} });
  for (let layer = 0; layer < layers; layer++) add('forward', { layer, values: { act_rms: 1 }, log10: {}, status: {} });
  if (isWhole) add('end', { status: 'done', reason: null });
  return columns;
}

/** @param {string} id @param {any} columns @param {any[]} before */
const slot = (id, columns, before = []) => ({ id, spec: undefined, label: 'mHC', columns, place: null, before });

test('a run without data leaves what was there, dimmed, whatever frames came to that since', () => {
  const [whole, broken, fresh] = [run(4, true), run(2, false), run(0, false)];
  const first = choose(TEMPLATE, [slot('a', whole)], []);
  assert.deepEqual([first.isStale, first.isNew, first.places[0].columns], [false, true, whole]);
  const drag = choose(TEMPLATE, [slot('b', broken, [slot('a', whole)])], first.places);
  assert.deepEqual([drag.isStale, drag.isNew, drag.places[0].columns], [false, true, broken]);
  assert.notEqual(drag.places[0].signature, first.places[0].signature);
  addFrame(broken, { run: 'r', index: 9, type: 'forward', layer: 2, values: { act_rms: 1 }, log10: {}, status: {} });
  const next = choose(TEMPLATE, [slot('c', fresh, [slot('b', broken), slot('a', whole)])], drag.places);
  assert.deepEqual([next.isStale, next.isNew], [true, false]);
  assert.deepEqual(next.places, drag.places); // so nothing is drawn
});

test('a figure that has drawn nothing yet takes the latest that has something, else the whole run', () => {
  const [whole, broken, fresh] = [run(4, true), run(2, false), run(0, false)];
  assert.equal(
    choose(TEMPLATE, [slot('c', fresh, [slot('b', broken), slot('a', whole)])], []).places[0].columns,
    broken,
  );
  assert.equal(
    choose(TEMPLATE, [slot('c', fresh, [slot('b', run(0, false)), slot('a', whole)])], []).places[0].columns,
    whole,
  );
  assert.equal(choose(TEMPLATE, [slot('c', fresh)], []).places[0].columns, fresh);
});

test('a run that is over is shown even where it has nothing of what is looked for', () => {
  const over = run(0, true);
  assert.equal(
    shownOf(slot('b', over, [slot('a', run(4, true))]), (columns) => columns.layers.has('act_rms')).columns,
    over,
  );
});

test('curves of a drag are whole when every run has its loss, or has ended', () => {
  const climbed = run(4, false);
  addFrame(climbed, { run: 'r', index: 9, type: 'loss', values: { loss: 4.1 }, log10: {}, status: {} });
  assert.ok(haveClimbed([slot('a', climbed), slot('b', run(4, true))]));
  assert.ok(!haveClimbed([slot('a', climbed), slot('c', run(4, false))]));
  assert.ok(!haveClimbed([slot('a', run(0, false))]));
});
