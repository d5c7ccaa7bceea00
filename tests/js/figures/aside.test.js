import assert from 'node:assert/strict';
import { test } from 'node:test';
import { standAside, toHeights } from '../../../static/js/figures/aside.js';

const AREA = { toX: (value) => 10 * value, toY: (value) => 100 - value, top: 0 };
const LETTER = 17;
const SIZE = { letter: LETTER, room: 200, taken: [] };
const lines = (...levels) => levels.map((y) => ({ x: [1, 2, 3], y: [y, y, y] }));

test('curves are read between layers, and not over gaps', () => {
  const heights = toHeights([{ x: [1, 2, 3, null, 1, 2, 3], y: [0, 10, null, null, 50, 50, 50] }], AREA);
  assert.deepEqual(heights(15), [95, 50], 'of two streams each');
  assert.deepEqual(heights(25), [50], 'one has no value there');
  assert.deepEqual(heights(5), []);
  assert.deepEqual(heights(35), []);
});

test('words stand beside their curve, not on it, and not on each other', () => {
  const curves = toHeights(lines(0, 2), AREA); // at 100 and at 98 px
  const { tops, hidden } = standAside(
    [100, 98],
    [
      [12, 28],
      [12, 28],
    ],
    curves,
    SIZE,
  );
  assert.equal(hidden, 0);
  for (const top of tops) assert.ok(top + LETTER < 98 || top > 100, `${top}`);
  assert.ok(Math.abs(tops[0] - tops[1]) >= LETTER);
});

test('words stay at their point where nothing runs through them', () => {
  assert.deepEqual(standAside([100], [[40, 80]], toHeights(lines(0), AREA), SIZE).tops, [100 - LETTER / 2]);
});

test('where curves fill the plot it is told how much they hide', () => {
  const dense = toHeights(lines(...Array.from({ length: 40 }, (_, index) => 5 * index - 100)), AREA);
  assert.ok(standAside([100], [[12, 28]], dense, SIZE).hidden > 0);
});
