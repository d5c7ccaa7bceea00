import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { findLost, findStretches, shortenName, spread, startLabels } from '../../../static/js/data/labels.js';
import { formatCount, formatSeconds, formatValue, logTicks } from '../../../static/js/data/numbers.js';
import { rules } from '../sent.js';

test('labels keep their order and their distance within the plot', () => {
  for (const places of [
    [0.5, 0.5, 0.5],
    [0, 0, 0, 0],
    [1, 1, 0.99],
    [0.2, 0.9, 0.21],
  ]) {
    const moved = spread(places, 0.1);
    const sorted = [...moved].sort((a, b) => a - b);
    for (const [index, place] of sorted.slice(1).entries()) assert.ok(place - sorted[index] >= 0.1 - 1e-9);
    assert.ok(sorted[0] >= 0 && sorted.at(-1) <= 1);
    for (const a of places.keys())
      for (const b of places.keys()) if (places[a] < places[b]) assert.ok(moved[a] < moved[b]);
  }
});

test('a lost curve says where and why', () => {
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
    'what was not heard is no number that went wrong',
  );
});

test('numbers as people read them', () => {
  for (const [value, log10, status, digits, text] of JSON.parse(
    readFileSync(new URL('../../number_texts.json', import.meta.url), 'utf8'),
  )) {
    assert.equal(formatValue(value, log10, status ?? undefined, digits), text);
  }
  assert.equal(formatValue(NaN), '–');
});

test('ticks lie in the range and there are a few of them', () => {
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

test('times and counts', () => {
  assert.deepEqual([0.004, 0.61, 12.3, 600].map(formatSeconds), ['4 ms', '0.61 s', '12 s', '10 min']);
  assert.deepEqual(
    [formatCount(358994688, 'B'), formatCount(2.02e9, 'FLOP'), formatCount(12, '')],
    ['359 MB', '2.0 GFLOP', '12'],
  );
});

test('labels keep off what stands there already, above or below it', () => {
  const clashes = (places, taken) =>
    places.filter((place) => taken.some(([from, to]) => place + 0.1 > from + 1e-9 && place < to - 1e-9));
  for (const taken of [
    [[0.4, 0.6]],
    [[0, 0.2]],
    [[0.85, 1.1]],
    [
      [0.1, 0.3],
      [0.35, 0.5],
    ],
  ]) {
    for (const places of [[0.5], [0.45, 0.5, 0.55], [0, 0.05], [0.9, 0.9], [0.3]]) {
      const moved = spread(places, 0.1, 0.9, taken);
      assert.deepEqual(clashes(moved, taken), [], JSON.stringify([taken, places]));
      const sorted = [...moved].sort((a, b) => a - b);
      for (const [index, place] of sorted.slice(1).entries()) assert.ok(place - sorted[index] >= 0.1 - 1e-9);
      assert.ok(sorted[0] >= 0 && sorted.at(-1) <= 0.9 + 1e-9);
    }
  }
});

test('words near the beginning of a line stand clear of ticks and of curves', () => {
  const start = (name, stretches) => ({ name, word: 'backward', color: 'black', x: [1, 2, 3], stretches });
  const at = (high, low, own = null, point = 0) => ({ point, line: [low, high], own });
  const place = (stretches, ticks = []) => startLabels([start('B HC', stretches)], ticks, [0, 1], false, rules)[0];
  const [away, gap] = [rules.start_away * rules.label_gap, rules.label_gap];
  assert.equal(place([at(0.5, 0.4)]).y, 0.5 + away, 'over it');
  assert.equal(place([at(0.5, 0.4)], [0.56]).y, 0.56 + away, 'and over the tick');
  assert.equal(place([at(0.93, 0.8)]).y, 0.8 - away, 'under it where there is no room');
  assert.equal(place([at(0.9, 0.8)], [0.95]).y, 0.8 - away, 'or a tick takes it');
  const further = place([at(0.95, 0.8), at(0.7, 0.6, null, 2)]);
  assert.deepEqual([further.x, further.y], [3, 0.7 + away], 'rather over it further on');
  assert.equal(place([at(0.5, 0.4, [0.54, 0.6])]).y, 0.4 - away, "not over its run's own line");
  const two = (high) => [start('B HC', [at(0.5, 0.4)]), start('C Frac', [at(high, 0.4)])];
  const told = (narrow) => startLabels(two(0.501), [], [0, 1], narrow, rules).map(({ text }) => text);
  assert.deepEqual(told(false), ['B HC, C Frac backward'], 'lines on each other share their words');
  assert.deepEqual(told(true), ['B, C backward']);
  const apart = startLabels(two(0.53), [], [0, 1], false, rules).map(({ y }) => y);
  assert.ok(Math.abs(apart[0] - apart[1]) >= gap - 1e-9);
});

test('words may stand beside a line from its beginning on, unless that is where its own begins', () => {
  assert.deepEqual(findStretches([2, 1], [2.01, 3], [0, 4], rules), []);
  assert.deepEqual(findStretches([null, null], undefined, [0, 4], rules), []);
  assert.deepEqual(findStretches([null, 4, 2, 1], [1, 1, 1, 1], [0, 4], rules), [
    { point: 1, line: [0.5, 1], own: [0.25, 0.25] },
    { point: 2, line: [0.25, 0.5], own: [0.25, 0.25] },
  ]);
});

test('a long name keeps both its ends, or its last part', () => {
  const names = JSON.parse(readFileSync(new URL('../../short_names.json', import.meta.url), 'utf8'));
  for (const [name, most, short] of names) {
    assert.equal(shortenName(name, most), short);
    assert.ok(Array.from(short).length <= Math.max(most, 1));
  }
});
