import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mergeViews } from '../../../static/js/controls/compareviews.js';
import { fields } from '../schema.js';

const runsOf = (kinds, base = {}) => ({ base, runs: kinds.map((kind) => ({ kind, own: {} })), cursor: null });
const shown = ({ view }) => view.runs.map(({ kind, own }) => [kind, own.depth ?? view.base.depth ?? 64, own.seed ?? 0]);
const ALL = ['residual', 'hc', 'mhc'];

test('all runs of two views are shown if they fit', () => {
  const found = mergeViews(fields, [runsOf(['residual', 'hc']), runsOf(['mhc'])], 4);
  assert.deepEqual(
    shown(found).map(([kind]) => kind),
    ALL,
  );
  assert.equal(found.message, 'Shows all 3 runs of both views side by side.');
});

test('if they do not fit, runs that mix streams are paired', () => {
  const found = mergeViews(fields, [runsOf(ALL, { depth: 8 }), runsOf(ALL, { depth: 9 })], 4);
  assert.deepEqual(shown(found), [
    ['hc', 8, 0],
    ['mhc', 8, 0],
    ['hc', 9, 0],
    ['mhc', 9, 0],
  ]);
  assert.match(found.message, /of each view: 4 of 6 runs\.$/);
});

test('views without a common connection show runs that only one of them has', () => {
  const found = mergeViews(fields, [runsOf(['residual', 'hc']), runsOf(['none', 'mhc'])], 2);
  assert.deepEqual(
    shown(found).map(([kind]) => kind),
    ['hc', 'mhc'],
  );
});

test('another seed is compared, with a note on chance', () => {
  const found = mergeViews(fields, [runsOf(['hc'], { seed: 1 }), runsOf(['hc'], { seed: 2 })], 4);
  assert.deepEqual(shown(found), [
    ['hc', 64, 1],
    ['hc', 64, 2],
  ]);
  assert.match(found.message, /The runs differ in seed, so part of what differs is chance\.$/);
});

test('equal views leave nothing to compare', () => {
  const { view, message } = mergeViews(fields, [runsOf(ALL), runsOf(['hc'])], 4);
  assert.equal(view, null);
  assert.match(message, /nothing to add/);
});
