import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  addView,
  describeView,
  dropViews,
  isVisited,
  MAX_VIEWS,
  restoreViews,
} from '../../../static/js/state/visited.js';

const view = (key, seen, words = {}) => ({
  key: String(key),
  url: `/#${key}`,
  hash: '',
  title: `view ${key}`,
  name: '',
  note: '',
  seen,
  runs: [],
  ...words,
});
const keys = (views) => views.map((item) => item.key);
const full = () => Array.from({ length: MAX_VIEWS }, (_, place) => view(place, MAX_VIEWS - place));

test('an entry visited again moves up and keeps name and note', () => {
  const views = describeView([view('a', 2), view('b', 1)], 'b', { name: 'mine', note: 'why' });
  const [first, ...rest] = addView(views, view('b', 3, { url: '/#b&layer=4' }));
  assert.deepEqual([first.name, first.note, first.seen, first.url], ['mine', 'why', 3, '/#b&layer=4']);
  assert.deepEqual(keys(rest), ['a']);
});

test('beyond the limit the oldest entry without name or note is dropped first', () => {
  const last = String(MAX_VIEWS - 1);
  const noted = describeView(full(), last, { note: 'keep' });
  const views = addView(noted, view('new', 1000));
  assert.equal(views.length, MAX_VIEWS);
  assert.ok(keys(views).includes(last) && !keys(views).includes(String(MAX_VIEWS - 2)));
  const all = full().map((item) => ({ ...item, name: 'n' }));
  assert.equal(keys(addView(all, view('new', 1000)))[0], 'new');
  assert.ok(!keys(addView(all, view('new', 1000))).includes(last));
});

test('a deleted entry is restored in its place, once', () => {
  const views = [view('a', 3), view('b', 2), view('c', 1)];
  const left = dropViews(views, ['b', 'c']);
  assert.deepEqual(keys(restoreViews(addView(left, view('c', 9)), views.slice(1))), ['c', 'a', 'b']);
});

test('invalid entries are recognised', () => {
  assert.ok(isVisited(view('a', 1, { runs: [{ label: 'A HC', headline: '' }] })));
  for (const item of [null, {}, 'a', view('a', 1, { url: 'javascript:x' }), view('a', 1, { runs: [{}] })])
    assert.ok(!isVisited(item), JSON.stringify(item));
});
