import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { formatCount, formatSeconds, formatValue, logTicks } from '../../../static/js/data/numbers.js';
import {
  endLabels,
  findLost,
  fitNames,
  formatRows,
  formatStatus,
  LABELS,
  lostLabels,
  shortenName,
  spreadPositions,
  toNames,
} from '../../../static/js/figures/labels.js';

test('labels keep their order and their distance within the plot', () => {
  for (const places of [
    [0.5, 0.5, 0.5],
    [0, 0, 0, 0],
    [1, 1, 0.99],
    [0.2, 0.9, 0.21],
  ]) {
    const moved = spreadPositions(places, 0.1);
    const sorted = [...moved].sort((a, b) => a - b);
    for (const [index, place] of sorted.slice(1).entries()) assert.ok(place - sorted[index] >= 0.1 - 1e-9);
    assert.ok(sorted[0] >= 0 && sorted.at(-1) <= 1);
    for (const a of places.keys())
      for (const b of places.keys()) if (places[a] < places[b]) assert.ok(moved[a] < moved[b]);
  }
});

test('names of overlapping lines are in the order of runs, the first on top', () => {
  for (const noise of [0, 1e-7, -1e-7, 0.004, -0.004]) {
    const [residual, hc, mhc] = spreadPositions([0.02, 0.3, 0.02 + noise], 0.1);
    assert.ok(hc > residual && residual > mhc, String(noise));
    const [first, second] = spreadPositions([1, 1 - noise], 0.1);
    assert.ok(first > second, String(noise));
  }
  const [residual, mhc] = spreadPositions([0.02, 0.03], 0.1);
  assert.ok(mhc > residual, 'lines that are apart keep their own order');
});

test('a curve that stops has a note with place and reason', () => {
  const status = (entries) => new Map(entries);
  assert.equal(findLost([1, 2], status([])), null);
  assert.equal(findLost([1, 2], status([[1, 'overflow']])), null, 'its log10 is known, so it is drawn');
  assert.deepEqual(
    findLost(
      [1, 2, null, null],
      status([
        [2, 'overflow'],
        [3, 'nan'],
      ]),
    ),
    { point: 1, ends: true, text: 'overflow at layer 3' },
  );
  assert.deepEqual(
    findLost(
      [null, null, 3],
      status([
        [0, 'nan'],
        [1, 'nan'],
      ]),
    ),
    { point: 2, ends: false, text: 'nan up to layer 2' },
  );
  assert.deepEqual(
    findLost(
      [null, null],
      status([
        [0, 'nan'],
        [1, 'nan'],
      ]),
    ),
    { point: null, ends: true, text: 'nan' },
  );
  assert.deepEqual(
    findLost([1, null], status([[1, 'unknown']])),
    { point: 0, ends: true, text: 'not known at layer 2' },
    'unrecorded is not the same as not a number',
  );
});

const color = '#000000';
const toLoss = (point, share, text = 'B HC: overflow at layer 5') => ({
  point,
  x: point + 1,
  share,
  text,
  middle: 5,
  color,
});

/** Assert that places are within the plot, and at least the height of a label apart. @param {number[]} places from 0 to 1 */
function assertApart(places) {
  const sorted = [...places].sort((a, b) => a - b);
  for (const [index, place] of sorted.slice(1).entries()) assert.ok(place - sorted[index] >= LABELS.gap - 1e-9);
  assert.ok(sorted[0] >= 0 && sorted.at(-1) <= 1);
}

test('labels of curves that end or stop near each other do not overlap', () => {
  for (const shares of [
    [0.9, 0.9],
    [0.95, 0.94, 0.95],
    [0, 0],
    [0.5, 0.52],
    [0.79, 0.81],
  ]) {
    const lost = lostLabels(
      shares.map((share) => toLoss(4, share)),
      [-2, 8],
      false,
      LABELS.gap,
    );
    assertApart(lost.map(({ y }) => (y + 2) / 10));
    const ends = shares.map((place, run) => ({ place, text: `run ${run}`, color }));
    assertApart(endLabels(ends, false, LABELS.gap).map(({ y }) => y));
  }
});

test('the note of a curve that stops is on the side of the cross with room', () => {
  for (const [point, text, anchor] of [
    [2, '✕ B HC: overflow at layer 5', 'left'],
    [7, 'B HC: overflow at layer 5 ✕', 'right'],
  ]) {
    const [label] = lostLabels([toLoss(point, 0.5)], [0, 1], false, LABELS.gap);
    assert.deepEqual([label.x, label.text, label.xanchor], [point + 1, text, anchor]);
  }
});

test('on a narrow figure the letter stands for the run', () => {
  assert.equal(lostLabels([toLoss(2, 0.5)], [0, 1], true, LABELS.gap)[0].text, '✕ B overflow at layer 5');
  const ends = ['B HC: nan', 'C ours'].map((text) => ({ place: 1, text, color }));
  assert.deepEqual(
    endLabels(ends, true, LABELS.gap).map(({ text }) => text),
    ['B nan', 'C'],
  );
});

test('rows without numbers are listed', () => {
  const rows = JSON.parse(readFileSync(new URL('../../lost_rows.json', import.meta.url), 'utf8'));
  for (const [lost, lastKnown, text] of rows) assert.equal(formatRows(lost, lastKnown), text);
  assert.deepEqual(['constant', 'unknown', 'nan'].map(formatStatus), ['constant over samples', 'not known', 'nan']);
});

test('numbers are formatted', () => {
  for (const [value, log10, status, digits, text] of JSON.parse(
    readFileSync(new URL('../../number_texts.json', import.meta.url), 'utf8'),
  )) {
    assert.equal(formatValue(value, log10, status ?? undefined, digits), text);
  }
  assert.equal(formatValue(NaN), '–');
});

test('ticks are few, and within the range', () => {
  for (const [low, high] of [
    [-0.3, 0.3],
    [-7, -2],
    [0, 401],
    [2.1, 2.3],
    [-0.01, 1.2],
    [350, 350.7],
  ]) {
    const [places, texts] = logTicks(low, high);
    assert.ok(places.length >= 2 && places.length <= 9, `${low}..${high}: ${texts}`);
    assert.ok(places.every((place) => place >= low - 1e-9 && place <= high + 1e-9));
    assert.equal(new Set(texts).size, texts.length);
  }
});

test('times and counts are formatted', () => {
  assert.deepEqual([0.004, 0.61, 12.3, 600].map(formatSeconds), ['4 ms', '0.61 s', '12 s', '10 min']);
  assert.deepEqual(
    [formatCount(358994688, 'B'), formatCount(2.02e9, 'FLOP'), formatCount(12, '')],
    ['359 MB', '2.0 GFLOP', '12'],
  );
});

test('a long name keeps both its ends, or its last part', () => {
  const names = JSON.parse(readFileSync(new URL('../../short_names.json', import.meta.url), 'utf8'));
  for (const [name, most, short] of names) {
    assert.equal(shortenName(name, most), short);
    assert.ok(Array.from(short).length <= Math.max(most, 1));
  }
});

test('names have no letters, unless two are equal', () => {
  assert.deepEqual(toNames(['A Residual', 'B HC']), ['Residual', 'HC']);
  assert.deepEqual(toNames(['A HC', 'B HC']), ['A HC', 'B HC']);
});

test('a name that does not fit becomes its letter and first word, its letter, or is shortened in the middle', () => {
  const within = (most) => (text) => text.length <= most;
  const labels = ['A Residual', 'B mHC identity, layers 1–24', 'C DeepseekV4ForCausalLM'];
  assert.deepEqual(fitNames(labels, within(40)), toNames(labels));
  assert.deepEqual(fitNames(labels, within(10)), ['Residual', 'B mHC', 'Deeps…alLM']);
  assert.deepEqual(fitNames(labels, within(4)), ['Re…l', 'B', 'De…M']);
});

test('shortened names of different runs differ', () => {
  const within = (text) => text.length <= 10;
  const names = fitNames(['A DeepseekV3ForCausalLM', 'B DeepseekV4ForCausalLM', 'C HC'], within);
  assert.deepEqual(names, ['A', 'B', 'HC']);
  assert.deepEqual(fitNames(['A DeepseekV3ForCausalLM', 'B DeepseekV3ForCausalLM'], within), ['A', 'B']);
});
