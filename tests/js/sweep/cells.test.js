import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultView } from '../../../static/js/state/spec.js';
import { toCellView } from '../../../static/js/state/sweep.js';
import {
  cellText,
  describeSharedSettings,
  fitSweepFigure,
  missingText,
  numberText,
  toDelimitedSweep,
} from '../../../static/js/sweep/cells.js';
import { fields } from '../schema.js';
import { viewRules } from '../sent.js';

const sweep = {
  run: 1,
  x: { path: 'depth', values: [4, 64] },
  y: { path: 'connection.streams', values: [2, 3] },
  metric: 'composite_gain_fwd',
  reduce: 'max',
};
const values = {
  id: 'sweep',
  metric: {
    key: 'composite_gain_fwd',
    title: 'Gain, forward',
    unit: '',
    scale: 'log',
    meaning: '',
    formula: '',
    source: '',
  },
  reduce: 'max',
  ids: [
    ['a', 'b'],
    ['c', 'd'],
  ],
  values: [
    [1.5, null],
    [null, null],
  ],
  log10: [
    [Math.log10(1.5), 400],
    [null, null],
  ],
  status: [
    ['done', 'overflow'],
    ['failed', 'missing'],
  ],
  reasons: { c: 'out of memory' },
  counts: { done: 2, failed: 1, missing: 1 },
  is_open: false,
};

test('a cell is described by its settings, and its number or why it has none', () => {
  assert.equal(
    cellText(fields, sweep, values, 0, 0),
    `${fields.get('depth').title} 4, ${fields.get('connection.streams').title} 2: 1.5`,
  );
  assert.equal(numberText(values, 0, 1), '1×10⁴⁰⁰');
  assert.equal(numberText(values, 1, 0), 'failed, out of memory');
  assert.equal(numberText(values, 1, 1), 'not computed');
});

test('missing cells are counted, and a complete sweep has no note', () => {
  assert.equal(missingText(values.counts), '2 of 4 runs; 1 not computed, 1 failed.');
  assert.equal(missingText({ done: 4 }), '');
});

test('CSV has one line per cell, with logarithms of numbers out of range', () => {
  const lines = toDelimitedSweep(sweep, values, ',').trimEnd().split('\n');
  assert.equal(lines[0], 'depth,connection.streams,composite_gain_fwd max,log10 composite_gain_fwd max,status,run');
  assert.equal(lines[2], '64,2,,400,overflow,b');
  assert.equal(lines[3], '4,3,,,failed,c');
  assert.equal(lines.length, 5);
});

const layout = { margin: { l: 60, r: 76, t: 30, b: 48 }, yaxis: { title: { text: 'Streams' } } };
const figure = {
  data: [
    {
      type: 'heatmap',
      z: [
        [null, null],
        [0, 0],
      ],
    },
    {
      type: 'heatmap',
      z: [
        [0.18, 400],
        [null, null],
      ],
    },
    {
      type: 'scatter',
      text: ['1.5', '1×10⁴⁰⁰', 'failed', ''],
      textfont: { color: ['#000', '#000', '#888', '#888'], size: 12 },
    },
  ],
  layout,
};

test('small cells hide numbers, and show a cross if there is none', () => {
  const [, , wide] = fitSweepFigure(figure, 700).figure.data;
  assert.deepEqual(wide.text, ['1.5', '1×10⁴⁰⁰', 'failed', ' ']);
  assert.equal(wide.textfont.size, 12);
  const [, , narrow] = fitSweepFigure(figure, 176).figure.data;
  assert.deepEqual(narrow.text, [' ', ' ', '×', ' ']);
  // Plotly 4 removes the node of an empty label, and the next drawing leaves out numbers that arrived meanwhile.
  for (const { text } of [wide, narrow]) assert.ok(text.every((label) => label !== ''));
});

test('a figure is high enough for the title of its axis, and its rows grow with the width', () => {
  const inner = (width) => fitSweepFigure(figure, width).height - 8 - 48;
  assert.equal(inner(700), Math.max(2 * 46, 7 * 'Streams'.length));
  assert.ok(inner(2000) > inner(700));
  assert.equal(figure.layout.margin.t, 30, 'the figure itself stays as it is');
});

test('the view of a cell has its settings where the varied run has them, and no sweep', () => {
  const view = {
    ...defaultView(viewRules),
    base: { depth: 8, width: 32 },
    runs: [
      { kind: 'mhc', own: {} },
      { kind: 'hc', own: { 'connection.streams': 8 }, name: 'ours' },
    ],
    sweep,
  };
  const { sweep: none, ...found } = toCellView(fields, view, sweep, 1, 1);
  assert.equal(none, undefined);
  const base = fields.get('depth').initial === 64 ? { width: 32 } : { depth: 64, width: 32 };
  assert.deepEqual(found, {
    ...defaultView(viewRules),
    base,
    runs: [
      { kind: 'mhc', own: {} },
      { kind: 'hc', own: { 'connection.streams': 3 }, name: 'ours' },
    ],
  });
  assert.deepEqual(view.base, { depth: 8, width: 32 });
});

test('shared settings of a sweep are listed without the varied ones', () => {
  const view = { ...defaultView(viewRules), base: { width: 32, 'connection.noise': 3, 'input.text': 'long' } };
  const title = fields.get('connection.noise').title;
  assert.equal(describeSharedSettings(fields, view, sweep), `HC, width 32, seed 0, ${title} 3`);
  assert.equal(
    describeSharedSettings(fields, view, { ...sweep, y: { path: 'connection.noise', values: [1] } }),
    'HC, width 32, seed 0',
  );
});
