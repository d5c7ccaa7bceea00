import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inkOn, luminance } from '../../../static/js/data/ink.js';

const SCALE = /** @type {[number, string][]} */ ([
  [0, '#a63a12'],
  [0.5, '#f4f3f1'],
  [0.75, '#5d9fd0'],
  [1, 'rgb(11, 79, 138)'],
]);

/** @param {number} share @param {number[]} rgb */
function contrastAt(share, rgb) {
  const ink = inkOn(SCALE, share) === '#000000' ? 0 : 1;
  const [low, high] = [ink, luminance(rgb)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

test('numbers are legible at every stop of a scale', () => {
  for (const [share, rgb] of /** @type {[number, number[]][]} */ ([
    [0, [166, 58, 18]],
    [0.5, [244, 243, 241]],
    [0.75, [93, 159, 208]],
    [1, [11, 79, 138]],
  ])) {
    assert.ok(contrastAt(share, rgb) >= 4.5, `at ${share}`);
  }
});

test('between stops the colour is between theirs, beyond the ends it is that of the end', () => {
  assert.equal(
    inkOn(
      [
        [0, '#000000'],
        [1, '#ffffff'],
      ],
      0.4,
    ),
    '#ffffff',
  );
  assert.equal(
    inkOn(
      [
        [0, '#000000'],
        [1, '#ffffff'],
      ],
      0.6,
    ),
    '#000000',
  );
  assert.equal(inkOn(SCALE, 7), '#ffffff');
  assert.equal(inkOn(SCALE, -1), inkOn(SCALE, 0));
});
