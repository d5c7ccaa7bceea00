import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { dropKey, KEY, keepKey, keyOf } from '../../../static/js/state/keys.js';

let kept = new Map();

beforeEach(() => {
  kept = new Map();
  globalThis.localStorage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) };
});

test('a key is known until it is dropped', () => {
  assert.equal(keyOf('a'), '');
  assert.equal(keepKey('a', 'one'), '');
  keepKey('b', 'two');
  assert.deepEqual([keyOf('a'), keyOf('b')], ['one', 'two']);
  dropKey('a');
  assert.deepEqual([keyOf('a'), keyOf('b')], ['', 'two']);
});

test('a snapshot has one key, the latest', () => {
  keepKey('a', 'one');
  keepKey('a', 'two');
  assert.deepEqual([keyOf('a'), JSON.parse(kept.get(KEY)).length], ['two', 1]);
});

test('the oldest keys are dropped first', () => {
  for (let number = 0; number < 502; number++) keepKey(`v${number}`, 'k');
  assert.deepEqual([keyOf('v0'), keyOf('v1'), keyOf('v2'), keyOf('v501')], ['', '', 'k', 'k']);
});

test('an invalid list of keys is left unchanged', () => {
  kept.set(KEY, '[{"id": 3}]');
  assert.equal(keyOf('a'), '');
  assert.match(keepKey('a', 'one'), /can't be read/);
  assert.equal(kept.get(KEY), '[{"id": 3}]');
});
