import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  dragLayers,
  gripAt,
  isOnMixing,
  laneAt,
  magnifiedLaneAt,
  toEditShapes,
} from '../../../static/js/picture/editmarks.js';
import { toLayout, xOf } from '../../../static/js/picture/layout.js';

const layout = toLayout(1400, [1, 4], 64);
const cut = { layers: [19, 29], what: 'stream', index: 1, do: 'zero' };
const restore = { layers: [39, 39], what: 'stream', index: 1, do: 'restore' };
const y = layout.bands[1].lanes[1];
const marksOf = (edits, isOpen = false) => [[], edits.map((edit, place) => ({ edit, place, isOpen }))];
const partAt = (marks, x, at = y, isCoarse = false) => gripAt(marks, layout, x, at, isCoarse)?.part ?? null;

test('a cut is grabbed at its ends, in between, and at the handle behind it', () => {
  const marks = marksOf([cut], true);
  const [left, right] = [xOf(layout, 19), xOf(layout, 30)];
  assert.equal(partAt(marks, left + 2), 'first');
  assert.equal(partAt(marks, (left + right) / 2), 'whole');
  assert.equal(partAt(marks, right - 2), 'last');
  assert.equal(partAt(marks, right + 12), 'handle');
  assert.equal(partAt(marksOf([cut]), right + 12), null, 'a cut that is restored has no handle');
  assert.equal(partAt(marks, left - 20), null);
  assert.equal(partAt(marks, left + 2, layout.bands[1].lanes[2]), null);
  assert.equal(partAt(marks, right + 22), null);
  assert.equal(partAt(marks, right + 22, y, true), 'handle', 'a finger is less exact');
});

test('of edits in one place the last is grabbed', () => {
  const marks = marksOf([cut, { ...cut, do: 'mean' }]);
  assert.equal(gripAt(marks, layout, xOf(layout, 25), y).mark.place, 1);
  assert.equal(gripAt(marksOf([cut, restore]), layout, xOf(layout, 39), y).mark.place, 1);
});

test('dragging changes an end or moves the whole, within the stack', () => {
  assert.deepEqual(dragLayers(cut, 'first', 19, 25, 64), [25, 29]);
  assert.deepEqual(dragLayers(cut, 'first', 19, 60, 64), [29, 29]);
  assert.deepEqual(dragLayers(cut, 'last', 29, 40, 64), [19, 40]);
  assert.deepEqual(dragLayers(cut, 'last', 29, 3, 64), [19, 19]);
  assert.deepEqual(dragLayers(cut, 'whole', 25, 30, 64), [24, 34]);
  assert.deepEqual(dragLayers(cut, 'whole', 25, 0, 64), [0, 10]);
  assert.deepEqual(dragLayers(cut, 'whole', 25, 63, 64), [53, 63]);
});

test('a stream is found near its middle only, however wide its ribbon is', () => {
  assert.deepEqual(laneAt(layout, xOf(layout, 10), y + 3), { run: 1, stream: 1 });
  assert.equal(laneAt(layout, xOf(layout, 10), y + 8), null);
  assert.equal(laneAt(layout, layout.strips.left - 3, y), null);
  assert.deepEqual(laneAt(layout, xOf(layout, 10), layout.bands[0].lanes[0]), { run: 0, stream: 0 });
});

test('of the magnified layer the nearest stream is found', () => {
  const magnifier = { left: 100, lanes: [10, 20, 30] };
  assert.equal(magnifiedLaneAt(magnifier, 104, 17), 1);
  assert.equal(magnifiedLaneAt(magnifier, 104, 40), 2);
  assert.equal(magnifiedLaneAt(magnifier, 104, 50), null);
  assert.equal(magnifiedLaneAt(magnifier, 130, 20), null);
});

test('the mixing of the magnified layer is between its streams, whose entries cut them', () => {
  const magnifier = { left: 100, right: 200, lanes: [10, 20, 30] };
  assert.equal(isOnMixing(magnifier, 150, 0), true);
  assert.equal(isOnMixing(magnifier, 150, 50), false, 'that is the branch');
  for (const x of [100, 104, 196, 200]) assert.equal(isOnMixing(magnifier, x, 20), false);
});

test('every kind of edit is drawn where it acts', () => {
  const shapesOf = (edit) => toEditShapes(marksOf([edit])[1], layout, layout.bands[1]);
  const boxesOf = (edit) => shapesOf(edit).filter(({ kind }) => kind === 'box');
  assert.equal(boxesOf(cut).length, 1);
  assert.equal(boxesOf({ layers: [3, 3], what: 'state', do: 'zero' }).length, 4);
  assert.equal(boxesOf({ layers: [3, 3], what: 'stream', index: 0, do: 'swap', other: 2 }).length, 2);
  assert.equal(boxesOf(restore).length, 0);
  assert.ok(shapesOf(restore).some(({ kind, x }) => kind === 'dot' && x === xOf(layout, 39)));
  const [above] = boxesOf({ layers: [3, 3], what: 'h_res', do: 'identity' });
  assert.ok(above.y + above.height < layout.bands[1].lanes[0]);
  const [box] = boxesOf(cut);
  assert.deepEqual([box.x, box.x + box.width].map(Math.round), [xOf(layout, 19), xOf(layout, 30)].map(Math.round));
});

test('on a narrow screen the mark of an edit of whole layers leaves the name above it readable', () => {
  for (const streams of [
    [4, 4],
    [1, 4, 4],
    [4, 4, 4, 4],
  ]) {
    const narrow = toLayout(366, streams, 12);
    const at = streams.length - 1;
    const { label } = narrow.bands[at];
    const edit = { layers: [0, 5], what: 'h_res', do: 'identity' };
    const [box] = toEditShapes(marksOf([edit])[1], narrow, narrow.bands[at]);
    assert.ok(box.y >= label.y + 7, `${box.y} and a name around ${label.y}`);
  }
});
