import assert from 'node:assert/strict';
import { test } from 'node:test';
import { widthOf } from '../../../static/js/data/textwidth.js';
import { linesBelow, toAxis, toGain, toLabel, toNames } from '../../../static/js/picture/captions.js';
import { toLayout } from '../../../static/js/picture/layout.js';
import { toReading } from '../../../static/js/picture/reading.js';
import { compareUnedited } from '../../../static/js/picture/run.js';
import { toSvg } from '../../../static/js/picture/svg.js';
import { pack, toEvenColumns } from './run.js';

const layout = toLayout(1376, [1, 2], 64);

/** Return the line under a run's name. */
function describeStreams(rows) {
  const columns = toEvenColumns(2, () => (rows ? { h_res: pack(rows) } : {}));
  const shapes = toLabel({ label: 'B HC', reading: toReading(columns), gain: null, end: null }, 'HC', 1, layout);
  return shapes
    .slice(1)
    .map(({ text }) => text)
    .join(' ');
}

test('the line under a name describes the matrices', () => {
  const half = [0.5, 0.5];
  assert.equal(describeStreams([half, half]), '2 streams, rows and columns sum to 1');
  assert.equal(describeStreams([half, [0.2, 0.8]]), '2 streams, rows sum to 1');
  assert.equal(describeStreams([half, [0.9, 0.8]]), '2 streams, mixed freely');
  assert.equal(
    describeStreams([
      [0.6, -0.8],
      [0.8, 0.6],
    ]),
    '2 streams, rotated: their norm is kept',
  );
  assert.equal(
    describeStreams([
      [1, 0],
      [0, 1],
    ]),
    '2 streams, not mixed',
  );
  const nearly = (small) => [
    [1 - small, small],
    [small, 1 - small],
  ];
  // Over 64 layers 0.0009 becomes 0.05: only matrices that mix nothing are said to.
  assert.equal(describeStreams(nearly(0.0009)), '2 streams, hardly mixed');
  assert.equal(describeStreams(nearly(1e-9)), '2 streams, hardly mixed');
  assert.equal(describeStreams(nearly(0.01)), '2 streams, rows and columns sum to 1');
  const leaky = [
    [0.993, 0.007],
    [0, 1],
  ];
  assert.equal(describeStreams(leaky), '2 streams, rows sum to 1', 'a column that sums to 1.007 multiplies');
  assert.equal(describeStreams(null), '2 streams');
});

test('a name with edits has two lines next to the strips, and its full text as title', () => {
  const name = 'mHC cut stream 2, layer 20';
  const full = 'A mHC Stream 2 is cut at layer 20';
  const run = { label: `A ${name}`, name: full, reading: null, gain: null, end: 'it did not run' };
  const nextTo = toLayout(1376, [4, 4], 64);
  const [first, second, ...rest] = toLabel(run, name, 0, nextTo);
  assert.equal(`${first.text} ${second.text}`, name);
  assert.ok(second.y > first.y && rest[0].y > second.y);
  for (const line of [first, second]) {
    assert.equal(line.title, full);
    assert.ok(widthOf(line.text, line.size, true) <= nextTo.bands[0].label.room);
  }
  const low = toLayout(1376, [1, 1, 1, 1, 1, 1], 64);
  const { room } = low.bands[0].label;
  const [only, words] = toLabel(run, name, 0, low);
  assert.ok(low.bands[0].bottom - low.bands[0].top > 84 || (only.text.includes('…') && words.text === run.end));
  assert.ok(widthOf(only.text, only.size, true) <= room);
});

test('on a phone a name has its own background, so that no ribbon is behind it', () => {
  const phone = toLayout(366, [1, 4], 64);
  const run = { label: 'B HC', reading: null, gain: null, end: 'it did not run', streams: 4 };
  const texts = toLabel(run, 'HC', 1, phone);
  assert.equal(texts.length, 1);
  const svg = toSvg(texts, { 1: '#000', muted: '#555', card: '#fff', font: 'Inter' }, { width: 366, height: 200 });
  const grounds = [
    ...svg.matchAll(
      /<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="(\d+)" fill="#fff" fill-opacity="([\d.]+)"/g,
    ),
  ];
  assert.equal(grounds.length, texts.length);
  for (const [index, { x, y, text, size, isBold }] of texts.entries()) {
    const [left, top, width, height, opacity] = grounds[index].slice(1).map(Number);
    assert.ok(opacity > 0.8);
    assert.ok(left <= x && left + width >= x + widthOf(text, size, isBold));
    assert.ok(top <= y - size / 2 && top + height >= y + size / 2);
  }
  const below = toGain(null, linesBelow(run, false, phone, 1), 1, phone);
  assert.equal(below.map(({ text }) => text).join(' '), 'it did not run');
  assert.ok(below.every(({ x }) => x > phone.strips.right));
});

test('names have no letter unless they need it', () => {
  const runs = ['A Residual', 'B HC', 'C HC'].map((label) => ({ label, reading: null, gain: null, end: null }));
  assert.deepEqual(toNames(runs), ['Residual', 'B HC', 'C HC']);
});

test('a gain of any size fits between the strips and the magnified layer', () => {
  const room = layout.inside.left - layout.strips.right;
  for (const gain of ['1', '1.00', '790', '12300', '1.2×10¹²', '7.5×10⁴⁷', '5.3×10²²¹']) {
    const [{ text, size, x }] = toGain(gain, [], 1, layout);
    assert.equal(text, `×${gain}`);
    assert.ok(x - layout.strips.right + widthOf(text, size, true) <= room - 20, gain);
  }
  assert.deepEqual(toGain(null, ['words'], 1, layout), []);
});

const range = { low: '24', high: '19,000', words: '5 to 95 % of seeds' };
const SEEDS = ['5 to 95 % of seeds:', '×24 to ×19,000'];
const reading = { layers: 64, streams: 4, mix: { mean: null } };

test('under a gain are its layer, unless it is the last, and its range over seeds; the first run names the numbers', () => {
  const roomy = toLayout(1376, [1, 4, 4], 64);
  const lines = (more, run, layout = roomy) => linesBelow({ reading, ...more }, run === 0, layout, run);
  assert.deepEqual(lines({ range, peak: 58 }, 2), ['at layer 58', ...SEEDS]);
  assert.deepEqual(lines({ range, peak: 64 }, 2), SEEDS);
  const mixed = toLayout(1376, [4, 4], 64);
  assert.deepEqual(lines({ range, peak: 64 }, 0, mixed), ['gain of the mixing', ...SEEDS]);
  assert.deepEqual(lines({ range, peak: 64 }, 0), SEEDS, 'the band of one stream has two lines');
  assert.deepEqual(lines({ range: null, peak: null }, 2), []);
  assert.deepEqual(lines({}, 0), ['gain of the mixing', 'largest over layers']);
  assert.deepEqual(lines({ peak: 3 }, 0), ['gain of the mixing', 'at layer 3']);
  const phone = toLayout(366, [1, 4, 4], 64);
  assert.deepEqual(lines({ range, peak: 58 }, 2, phone), ['at layer 58', '4 streams']);
  assert.deepEqual(lines({}, 0, phone), ['gain of the', 'mixing'], 'a third line would touch the next gain');
  assert.deepEqual(lines({ gain: null }, 0, phone), ['4 streams'], 'no number, no meaning of it');
  assert.deepEqual(lines({ isMedian: true }, 0, phone), ['median gain', 'of mixing'], 'as many lines as for one seed');
  assert.deepEqual(lines({ isMedian: true }, 0), ['median gain of mixing', 'largest over layers']);
  const crowded = toLayout(366, new Array(8).fill(4), 64);
  assert.deepEqual(lines({}, 0, crowded), ['4 streams'], 'half of the words would mean nothing');
  const identity = pack([
    [1, 0],
    [0, 1],
  ]);
  const kept = toReading(toEvenColumns(2, () => ({ h_res: identity })));
  assert.deepEqual(lines({ reading: kept }, 1, phone), ['2 streams,', 'not mixed']);
  assert.deepEqual(lines({ reading: kept, peak: 1 }, 0, phone), ['gain of the', 'mixing', 'at layer 1']);
});

test('under the gain of an edited run is its gain without the edits', () => {
  const unedited = '×790 without the cut';
  const lines = (layout, more, run = 1) => linesBelow({ reading, unedited, ...more }, run === 0, layout, run);
  assert.deepEqual(lines(toLayout(1376, [4, 4], 64), { peak: 58 }), ['at layer 58', unedited]);
  const low = toLayout(1376, [1, 1, 1, 1, 1, 1], 64);
  assert.deepEqual(lines(low, { peak: 58 }, 0), ['at layer 58', unedited], 'the band of the first run has two lines');
  const narrow = lines(toLayout(366, [4, 4], 64), { peak: 58 });
  assert.deepEqual(narrow.slice(0, 3), ['at layer 58', '×790 without', 'the cut']);
});

test('what names a gain ends before the magnified layer or the edge, also of several seeds', () => {
  for (const width of [1376, 700]) {
    const next = toLayout(width, [4, 4], 64);
    const { x } = next.bands[0].gain;
    const end = next.inside?.left ?? width;
    for (const isMedian of [false, true])
      for (const line of linesBelow({ reading, isMedian }, true, next, 0))
        assert.ok(x + widthOf(line, 12) < end, `${width} px: ${line}`);
  }
});

test('the gain without edits is named by the edits, unless it looks the same', () => {
  const toColumns = (gain, edits) => ({
    ...toEvenColumns(1, () => ({})),
    start: { spec: { edits }, streams: 4 },
    log10: new Map([['composite_gain_fwd', [Math.log10(gain)]]]),
  });
  const base = toColumns(790, []);
  const cut = { layers: [20, 20], what: 'stream', index: 2, do: 'zero' };
  assert.equal(compareUnedited(toColumns(988, [cut]), base), '×790 without the cut');
  assert.equal(compareUnedited(toColumns(988, [cut, cut]), base), '×790 without the cuts');
  assert.equal(compareUnedited(toColumns(988, [{ ...cut, do: 'mean' }]), base), '×790 without the edit');
  assert.equal(compareUnedited(toColumns(790.1, [cut]), base), null);
  assert.equal(compareUnedited(base, null), null);
  assert.equal(compareUnedited(toColumns(988, [cut]), null), 'with the cut', 'the other gain is not known');
});

test('text under a gain does not overlap the gain below it, for any number of runs', () => {
  for (const width of [296, 366, 700, 1376])
    for (const count of [1, 2, 3, 4]) {
      const crowded = toLayout(width, new Array(count).fill(4), 64);
      const texts = crowded.bands.flatMap((_, run) =>
        toGain('790', linesBelow({ reading, range, peak: 58 }, run === 0, crowded, run), run, crowded),
      );
      texts.forEach((text, at) => {
        const next = texts[at + 1];
        if (next)
          assert.ok(text.y + text.size / 2 <= next.y - next.size / 2 + 1, `${width} px, ${count} runs: ${next.text}`);
      });
      const wanted = width < 560 ? 'gain of the' : SEEDS[1];
      assert.ok(
        texts.some(({ text }) => text === wanted),
        `${wanted} is there`,
      );
      if (width < 560) {
        const column = crowded.width - crowded.strips.right - 8;
        for (const { text, size, isBold } of texts) assert.ok(widthOf(text, size, isBold) <= column, text);
        const last = texts[texts.length - 1];
        assert.ok(last.y + last.size / 2 <= crowded.height, 'within the picture');
      }
    }
});

test('layers are numbered in equal steps, including the last', () => {
  const ticks = (layers) =>
    toAxis(toLayout(1376, [1], layers)).flatMap(({ kind, text }) => (kind === 'text' ? [text] : []));
  assert.deepEqual(ticks(64), ['layer 0', '16', '32', '48', '64']);
  assert.deepEqual(ticks(1), ['layer 0', '1']);
  for (const layers of [3, 7, 50, 101, 1000]) assert.equal(ticks(layers).at(-1), String(layers));
});
