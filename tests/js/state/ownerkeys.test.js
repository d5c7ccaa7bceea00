import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { dropOwnerKey, KEY, ownerKeyOf, storeOwnerKey } from '../../../static/js/state/ownerkeys.js';

let kept = new Map();

beforeEach(() => {
  kept = new Map();
  globalThis.localStorage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) };
});

test('a key is known until it is dropped', () => {
  assert.equal(ownerKeyOf('a'), '');
  assert.equal(storeOwnerKey('a', 'one'), '');
  storeOwnerKey('b', 'two');
  assert.deepEqual([ownerKeyOf('a'), ownerKeyOf('b')], ['one', 'two']);
  dropOwnerKey('a');
  assert.deepEqual([ownerKeyOf('a'), ownerKeyOf('b')], ['', 'two']);
});

test('a snapshot has one key, the latest', () => {
  storeOwnerKey('a', 'one');
  storeOwnerKey('a', 'two');
  assert.deepEqual([ownerKeyOf('a'), JSON.parse(kept.get(KEY)).length], ['two', 1]);
});

test('the oldest keys are dropped first', () => {
  for (let number = 0; number < 502; number++) storeOwnerKey(`v${number}`, 'k');
  assert.deepEqual([ownerKeyOf('v0'), ownerKeyOf('v1'), ownerKeyOf('v2'), ownerKeyOf('v501')], ['', '', 'k', 'k']);
});

test('an invalid list of keys is left unchanged', () => {
  kept.set(KEY, '[{"id": 3}]');
  assert.equal(ownerKeyOf('a'), '');
  assert.match(storeOwnerKey('a', 'one'), /can't be read/);
  assert.equal(kept.get(KEY), '[{"id": 3}]');
});
