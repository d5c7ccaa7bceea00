import assert from 'node:assert/strict';
import test from 'node:test';
import { placeValues } from '../../../static/js/figures/valuerow.js';

test('values stand around the cursor in one row where they have room', () => {
  const places = placeValues([30, 40, 30], { x: 200, room: 400 });
  assert.deepEqual(
    places.map(({ row }) => row),
    [0, 0, 0],
  );
  assert.deepEqual(
    places.map(({ left }) => left),
    [146, 180, 224],
  );
});

test('they stay within the figure at both of its ends', () => {
  assert.equal(placeValues([30, 40], { x: 5, room: 400 })[0].left, 0);
  const [, last] = placeValues([30, 40], { x: 399, room: 400 });
  assert.equal(last.left + 40, 400);
});

test('where one row is too short, the last is next to the plot, and none lies on another', () => {
  const widths = [60, 60, 60, 60, 60];
  const places = placeValues(widths, { x: 50, room: 150 });
  assert.deepEqual(
    places.map(({ row }) => row),
    [2, 2, 1, 1, 0],
  );
  for (const row of [0, 1, 2]) {
    const own = places.filter((place) => place.row === row);
    own.slice(1).forEach((place, index) => {
      assert.ok(place.left >= own[index].left + 60);
    });
  }
});

test('a value that is longer than the figure has a row of its own', () => {
  assert.deepEqual(placeValues([200, 30], { x: 50, room: 100 }), [
    { left: 0, row: 1 },
    { left: 35, row: 0 },
  ]);
});
