import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { changeList, readList, writeList } from '../../../static/js/state/store.js';

const isText = (item) => typeof item === 'string';
let kept = new Map();
let fail = null;

beforeEach(() => {
  kept = new Map();
  fail = null;
  globalThis.localStorage = {
    getItem: (key) => kept.get(key) ?? null,
    setItem(key, value) {
      if (fail) throw fail;
      kept.set(key, value);
    },
  };
});

test('changes of another tab are kept', () => {
  const add = (item) => changeList('list', isText, (items) => [...items, item]);
  add('mine');
  kept.set('list', JSON.stringify(['mine', 'theirs']));
  assert.deepEqual(add('mine again'), { items: ['mine', 'theirs', 'mine again'], trouble: '' });
});

test('a full storage keeps its content, and is reported', () => {
  writeList('list', ['old']);
  fail = new DOMException('no room', 'QuotaExceededError');
  const { items, trouble } = changeList('list', isText, () => ['new']);
  assert.deepEqual(items, ['old']);
  assert.match(trouble, /storage for the page is full/);
  assert.equal(kept.get('list'), '["old"]');
});

test('a refused storage is reported', () => {
  fail = new DOMException('not here', 'SecurityError');
  assert.match(writeList('list', []), /doesn't let/);
  globalThis.localStorage = undefined;
  assert.match(readList('list', isText).trouble, /doesn't let/);
});

test('an unreadable list is neither shown nor overwritten', () => {
  for (const text of ['{', '{}', '[1]', 'null']) {
    kept.set('list', text);
    const { items, trouble } = changeList('list', isText, () => ['new']);
    assert.deepEqual(items, []);
    assert.match(trouble, /can't be read/);
    assert.equal(kept.get('list'), text);
  }
});
