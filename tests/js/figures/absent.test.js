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

test('each run is given the reason that applies to it', () => {
  const mixing = (/** @type {string} */ name, /** @type {number} */ streams) =>
    /** @type {any} */ ({ ...run(true), matrices: new Map([[name, { shape: [2, streams, streams], data: [] }]]) });
  const reasons = [
    { unknown: true, text: 'Known only at the end.' },
    { without: 'h_res', text: 'Nothing is mixed.' },
    { with: 'h_read', text: 'Streams are parts.' },
  ];
  const notes = (/** @type {any[]} */ results) => {
    const { meta } = template.layout;
    const layout = { ...template.layout, meta: { ...meta, absent: { ...meta.absent, reasons } } };
    return fill({ ...template, layout }, results, ['A', 'B'], 0).layout.annotations.map(({ text }) => text);
  };
  assert.deepEqual(notes([run(true), mixing('h_res', 1)]), ['Nothing is mixed.']);
  assert.deepEqual(notes([mixing('h_res', 2), mixing('h_res', 2)]), [TEXT]);
  const parts = mixing('h_res', 2);
  parts.matrices.set('h_read', parts.matrices.get('h_res'));
  assert.deepEqual(notes([run(true), parts]), ['A: Nothing is mixed.<br>B: Streams are parts.']);
  const early = { ...run(true), unknown: new Set(['align']) };
  assert.deepEqual(notes([run(true, ['align', [0.1, 0.2]]), early]), ['B: Known only at the end.']);
});
