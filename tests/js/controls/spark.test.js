import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toSpark } from '../../../static/js/controls/spark.js';
import { chooseValues, playStops } from '../../../static/js/state/sweep.js';

test('curves share one scale, and each spans the width', () => {
  const { lines, base } = toSpark(
    [
      [0, 1],
      [1, 0.5, 0],
    ],
    100,
    50,
  );
  assert.deepEqual(
    lines.map((line) => line.end),
    [
      [100, 2.7],
      [100, 47.3],
    ],
  );
  assert.equal(lines[1].d, 'M0 2.7L50 25L100 47.3');
  assert.equal(base, 47.3);
});

test('unknown values leave a gap, and a curve without values draws nothing', () => {
  assert.equal(toSpark([[1, null, 2, 3]], 90, 50).lines[0].d.match(/M/g).length, 2);
  assert.deepEqual(toSpark([null, [null]], 90, 50), {
    lines: [
      { d: '', end: null },
      { d: '', end: null },
    ],
    base: null,
  });
});

test('differences in the last digits are drawn as a flat line in the middle', () => {
  const { lines } = toSpark([[1, 1 + 1e-6]], 100, 50);
  assert.deepEqual(lines[0].end, [100, 25]);
});

test('an animated slider stops at few values, each a multiple of its step', () => {
  const field = (rest) => ({ type: 'integer', initial: 0, min: 0, max: 1, step: 1, ...rest });
  assert.deepEqual(
    playStops(field({ initial: 20, max: 200 })),
    [0, 1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200],
  );
  assert.deepEqual(playStops(field({ initial: 4, min: 1, max: 16 })), [1, 2, 3, 4, 6, 8, 12, 16]);
  const width = playStops(field({ initial: 64, min: 4, max: 4096, step: 4 }));
  assert.ok(
    width.every((value) => value % 4 === 0),
    width.join(),
  );
  assert.deepEqual([width[0], width.at(-1)], [4, 256]);
  assert.ok(chooseValues(field({ initial: 20, max: 200 })).length < 12);
});
