import assert from 'node:assert/strict';
import { test } from 'node:test';
import { outermostPoints } from '../../../static/js/plots/cursor.js';

/** Convert streams over two layers to one line with gaps between them. */
function toTrace(streams, parts) {
  const join = (pick) =>
    streams.flatMap((values, stream) => [
      ...(stream === 0 ? [] : [null]),
      ...values.map((value, layer) => pick(value, layer, stream)),
    ]);
  return {
    x: join((_, layer) => layer + 1),
    y: join((value) => value),
    text: join((value) => String(value)),
    customdata: join((_value, _layer, stream) => stream + 1),
    meta: { parts },
  };
}
const read = (trace, place) => outermostPoints(trace, place).map(({ index, names }) => [trace.text[index], names]);

test('the largest and smallest of several streams are named', () => {
  const trace = toTrace(
    [
      [1, 5],
      [4, 2],
      [3, 7],
      [2, 6],
    ],
    'stream',
  );
  assert.deepEqual(read(trace, 1), [
    ['4', 'stream 2'],
    ['1', 'stream 1'],
  ]);
  assert.deepEqual(read(trace, 2), [
    ['7', 'stream 3'],
    ['2', 'stream 2'],
  ]);
  assert.deepEqual(read(trace, 3), []);
});

test('streams with equal values are named together', () => {
  assert.deepEqual(read(toTrace([[1], [1], [1]], 'stream'), 1), [['1', 'all 3 streams']]);
  assert.deepEqual(read(toTrace([[1], [2], [1], [3]], 'stream'), 1), [
    ['3', 'stream 4'],
    ['1', 'streams 1, 3'],
  ]);
  assert.deepEqual(read(toTrace([[1], [1], [1], [1], [9]], 'stream'), 1), [
    ['9', 'stream 5'],
    ['1', '4 streams'],
  ]);
});

test('a single line has no name, and a missing value is skipped', () => {
  assert.deepEqual(read(toTrace([[1, 5]], 'stream'), 2), [['5', '']]);
  assert.deepEqual(
    read(
      toTrace(
        [
          [null, 5],
          [2, 6],
        ],
        'stream',
      ),
      1,
    ),
    [['2', 'stream 2']],
  );
});
