import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createColumns } from '../../../static/js/data/columns.js';
import { fill } from '../../../static/js/figures/fill.js';

const TEXT = 'Computed without this metric.';
/** A figure of a metric of another package, for two runs. */
const template = /** @type {any} */ ({
  data: [0, 1].map((run) => ({ meta: { run, key: 'align', fill: { x: 'layer', y: 'layers.align' } } })),
  layout: { xaxis: {}, yaxis: {}, meta: { theme: 'dark', muted: '#888', absent: { key: 'align', text: TEXT } } },
});
const start = { layers: 2, streams: 1, spec: { connection: { kind: 'hc' } } };
/** @param {boolean} isDone @param {[string, number[]][]} layers */
const run = (isDone, ...layers) =>
  /** @type {any} */ ({ ...createColumns(), start, end: isDone ? { status: 'done' } : null, layers: new Map(layers) });
/** @param {any[]} runs @param {boolean} [narrow] */
const notesOf = (runs, narrow) =>
  fill(template, runs, ['A', 'B'], 0, narrow).layout.annotations.map(({ text }) => text);

test('runs that ended without the metric are named', () => {
  const measured = run(true, ['align', [0.1, 0.2]]);
  assert.deepEqual(notesOf([measured, measured]), []);
  assert.deepEqual(notesOf([measured, run(true, ['act_rms', [1, 1]])]), [`B: ${TEXT}`]);
  assert.deepEqual(notesOf([measured, run(true)], true), [`B:<br>${TEXT}`], 'a narrow screen needs two lines');
  assert.deepEqual(notesOf([run(true), run(true)]), [TEXT]);
});

test('a run with matrices of the metric has it', () => {
  const measured = { ...run(true), matrices: new Map([['align', { shape: [2, 1, 1], data: [0.1, 0.2] }]]) };
  assert.deepEqual(notesOf([measured, measured]), []);
});

test('a run that is computed may still bring the metric', () => {
  assert.deepEqual(notesOf([run(false), run(false)]), []);
});
