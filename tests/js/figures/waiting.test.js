import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createColumns } from '../../../static/js/data/columns.js';
import { fill } from '../../../static/js/figures/fill.js';
import { addWaitingNote } from '../../../static/js/figures/labels.js';

/** A figure of one metric that no run has. */
const template = /** @type {any} */ ({
  data: [{ meta: { run: 0, key: 'step_loss', fill: { y: 'steps.step_loss' } } }],
  layout: { xaxis: {}, yaxis: {}, meta: { theme: 'dark', empty: 'No run trains.', muted: '#888' } },
});

/** @param {any} start @param {any} end @param {string[]} waits */
const run = (start, end, waits = []) => ({ ...createColumns(), start, end, waits: new Set(waits) });
const START = { layers: 2, streams: 1, spec: { connection: { kind: 'hc' } } };
/** @param {any} columns */
function noteOf(columns) {
  const figure = fill(template, [columns], ['A HC'], 0);
  addWaitingNote(figure, [columns], ['A HC']);
  return figure.layout.annotations.map(({ text }) => text);
}

test('an empty figure names the runs that are computed until they end', () => {
  assert.deepEqual(noteOf(null), ['Computing A HC …']);
  assert.deepEqual(noteOf(run(null, null)), ['Computing A HC …']);
  assert.deepEqual(noteOf(run(START, null)), ['Computing A HC …']);
  assert.deepEqual(noteOf(run(START, { status: 'done', reason: null })), ['No run trains.']);
  assert.deepEqual(noteOf(run(null, { status: 'cancelled', reason: null })), ['No run trains.']);
});

test('derived columns are final, unless they wait for the server', () => {
  assert.deepEqual(noteOf(run(START, null, ['act_rms'])), ['No run trains.']);
  assert.deepEqual(noteOf(run(START, null, ['step_loss'])), ['Computing A HC …']);
});

test('axes without data have no numbers', () => {
  const { layout } = fill(template, [null], ['A HC'], 0);
  assert.deepEqual([layout.xaxis.showticklabels, layout.yaxis.showticklabels], [false, false]);
});
