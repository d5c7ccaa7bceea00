import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toReading } from '../../../static/js/picture/reading.js';
import { formatLog } from '../../../static/js/picture/scale.js';
import { toSvg } from '../../../static/js/picture/svg.js';
import {
  HELP,
  MEANING,
  pictureCaption,
  toLayerTable,
  toSentence,
  toSizeTable,
} from '../../../static/js/picture/words.js';
import { pack, toColumns } from './run.js';

const shown = (label, columns) => ({ label, reading: toReading(columns), gain: null, end: null });
const hc = (values) =>
  shown(
    'B HC',
    toColumns({
      sizes: [
        [1, 1],
        [2, 30],
      ],
      blocks: ['attention'],
      values: () => values ?? {},
    }),
  );
const residual = shown('A Residual', toColumns({ sizes: [[1], [2], [3]] }));

test('a sentence states streams, their sizes, and their change by the layer at the cursor', () => {
  assert.equal(toSentence(hc(), 0), 'B HC: 2 streams, sizes from 1 to 30; at layer 1, attention, from 1 to 2 and 30');
  assert.equal(toSentence(residual, 1), 'A Residual: one stream, sizes from 1 to 3; at layer 2, from 2 to 3');
  assert.equal(toSentence(hc(), 5), 'B HC: 2 streams, sizes from 1 to 30', 'of a layer that it does not have');
  assert.equal(
    toSentence({ label: 'C mHC', reading: null, gain: null, end: null }, 0),
    'C mHC: no layer is computed yet',
  );
});

test('the caption states what widths represent, also during an animation', () => {
  assert.match(pictureCaption(false), /^Ribbon width is the signal’s size, to one linear scale\. Thin lines/);
  assert.match(
    pictureCaption(false, { isFading: true }),
    /Beyond 10 times the height of the card a ribbon fades\. Thin/,
  );
  assert.doesNotMatch(pictureCaption(false, { isMixed: false }), /Thin|seed/);
  for (const leg of [null, 'backward'])
    assert.match(pictureCaption(false, { leg, hasSeeds: true }), /Drawn: the first seed\.$/);
  assert.match(pictureCaption(true), /the logarithm of the signal’s size/);
  assert.match(pictureCaption(false, { leg: 'forward' }), /ten times smaller/);
  for (const isLog of [false, true])
    assert.match(
      pictureCaption(isLog, { leg: 'backward' }),
      /gradient, relative to each run’s gradient after the last layer/,
    );
});

test('a gain reached before the last layer names its layer', () => {
  assert.match(toSentence({ ...residual, gain: '790', peak: 1 }, 0), /gain of the mixing ×790 at layer 1, sizes/);
  assert.match(toSentence({ ...residual, gain: '1', peak: null }, 0), /gain of the mixing ×1, sizes/);
  assert.match(
    toSentence({ ...residual, gain: '9', peak: 2 }, 0),
    /gain of the mixing ×9, sizes/,
    'the last of 2 layers',
  );
});

test('a run that failed before its first layer has a sentence about it', () => {
  assert.equal(toSentence({ label: 'C mHC', reading: null, gain: null, end: 'failed' }, 0), 'C mHC: failed');
});

test('a layer that has not arrived has a sentence about it', () => {
  const running = shown('B HC', toColumns({ sizes: [[1], [2]], layers: 3 }));
  assert.match(toSentence(running, 2), /at layer 3, no size is known$/);
});

test('for many streams a sentence contains the smallest and the largest', () => {
  const sizes = [new Array(8).fill(1), [1, 2, 3, 4, 5, 6, 7, 8]];
  assert.match(toSentence(shown('B HC', toColumns({ sizes })), 0), /from 1 to between 1 and 8$/);
});

test('the table of a layer contains the reading, mixing and writing weights of each stream', () => {
  const values = {
    h_pre: [0.5, 0.25],
    h_pre_std: [0.1, 0],
    h_res: pack([
      [1, -0.5],
      [0, 2],
    ]),
    h_post: [1, 3],
  };
  const { head, rows } = toLayerTable([residual, hc(values)], 0, String);
  assert.deepEqual(head, [
    'stream',
    'before',
    'branch reads',
    'mixes, from 1',
    'mixes, from 2',
    'branch writes',
    'after',
  ]);
  assert.deepEqual(rows[0], ['A Residual', '1', '', '', '', '', '2']);
  assert.deepEqual(rows[1], ['B HC, 1', '1', '0.5 ± 0.1', '1', '-0.5', '1', '2']);
  assert.deepEqual(rows[2], ['B HC, 2', '1', '0.25', '0', '2', '3', '30']);
});

test('the table of sizes has one row per layer, the embedding first, and one column per stream', () => {
  const { head, rows } = toSizeTable([residual, hc()], 'sizes', formatLog);
  assert.deepEqual(head, ['after layer', 'A Residual', 'B HC, stream 1', 'B HC, stream 2']);
  assert.deepEqual(rows, [
    ['embedding', '1', '1', '1'],
    [1, '2', '2', '30'],
    [2, '3', '', ''],
  ]);
});

test('a size out of range is described by its logarithm', () => {
  assert.equal(formatLog(401.5), '3.2×10⁴⁰¹');
  assert.equal(formatLog(NaN), '–');
});

test('SVG contains every shape in its colour, and text as text', () => {
  const palette = { 0: '#123456', ink: '#000001', card: '#ffffff', font: 'sans-serif' };
  const svg = toSvg(
    [
      { kind: 'area', points: [0, 0, 10, 0, 10, 5], color: 0, opacity: 0.5 },
      { kind: 'line', points: [0, 0, 1, 1, 2, 2, 3, 3], color: 0, opacity: 1, width: 2, isDashed: true, isCurve: true },
      {
        kind: 'text',
        x: 1,
        y: 2,
        text: '<B> & "C"',
        size: 12,
        color: 'ink',
        anchor: 'end',
        isBold: true,
        hasHalo: true,
      },
    ],
    palette,
    { width: 100, height: 50 },
  );
  assert.match(svg, /^<svg [^>]*viewBox="0 0 100 50"/);
  assert.match(svg, /<polygon points="0 0 10 0 10 5" fill="#123456" fill-opacity="0.5"/);
  assert.match(svg, /<path d="M0 0C1 1 2 2 3 3"[^>]* stroke-dasharray=/);
  assert.match(svg, />&lt;B&gt; &amp; &quot;C&quot;<\/text>/);
});

test('the help of the picture is short', () => {
  assert.ok([MEANING, HELP.reading].join(' ').split(' ').length <= 120);
});
