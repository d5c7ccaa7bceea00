import assert from 'node:assert/strict';
import { test } from 'node:test';
import { axisNote } from '../../../static/js/figures/fill/labels.js';
import { canSketch, drawSketch } from '../../../static/js/figures/sketch.js';

globalThis.devicePixelRatio = 2;

/** Create a canvas that records drawing calls. */
function canvas() {
  const calls = [];
  const pen = new Proxy(
    { measureText: () => ({ width: 7 }) },
    {
      get: (own, name) => own[name] ?? ((...values) => calls.push([name, ...values])),
      set: (own, name, value) => {
        own[name] = value;
        return true;
      },
    },
  );
  return { calls, style: { setProperty: () => {} }, getContext: () => pen };
}

/** Create a filled figure of one curve over layers 1 to 3, with a band below it. */
function figure(more = {}) {
  const line = { color: '#000', width: 2, dash: '4px,2px' };
  const edge = { type: 'scatter', x: [1, 2, 3], line: { width: 0 } };
  return {
    data: [
      { ...edge, y: [0, 0, null] },
      { ...edge, y: [1, 1, 1], fill: 'tonexty', fillcolor: 'red' },
      {
        type: 'scatter',
        mode: 'lines',
        x: [1, 2, 3],
        y: [0, null, 2],
        line,
      },
    ],
    layout: {
      meta: {},
      annotations: [
        { text: 'A HC', xref: 'x domain', x: 1, xanchor: 'left', yref: 'y domain', y: 1, yanchor: 'middle' },
      ],
      shapes: [{ type: 'line', y0: 1, y1: 1, line: { color: '#777', width: 1 } }],
      margin: { l: 50, r: 50, t: 10, b: 40 },
      font: { size: 12, family: 'serif', color: '#333' },
      xaxis: { range: [1, 3], gridcolor: '#eee', dtick: 1, title: { text: 'layer' } },
      yaxis: {
        range: [0, 2],
        tickmode: 'array',
        tickvals: [0, 1, 9],
        ticktext: ['1', '10<sup>1</sup>', 'out of sight'],
      },
      ...more,
    },
  };
}

const SIZE = { width: 300, height: 150, magnified: 1 };

test('curves follow the filled axes, with gaps', () => {
  const target = canvas();
  const [area] = drawSketch(/** @type {any} */ (target), /** @type {any} */ (figure()), SIZE);
  assert.deepEqual([area.toX(1), area.toX(3), area.toY(0), area.toY(2)], [50, 250, 110, 10]);
  const moves = target.calls.filter(([name]) => name === 'moveTo').map(([, x, y]) => [x, y]);
  assert.deepEqual(moves.slice(-2), [
    [50, 110],
    [250, 10],
  ]); // both sides of the gap start a new path
  assert.ok(target.calls.some(([name, dash]) => name === 'setLineDash' && dash.join() === '4,2'));
});

test('axes have tick labels with separate exponents, none out of range', () => {
  const target = canvas();
  drawSketch(/** @type {any} */ (target), /** @type {any} */ (figure()), SIZE);
  const texts = target.calls.filter(([name]) => name === 'fillText').map(([, text]) => text);
  assert.deepEqual(texts, ['1', '2', '3', '1', '1', '10', 'layer', 'A HC']);
});

test('text along the vertical axis is turned upwards, and ends at the top of the axis', () => {
  const target = canvas();
  const note = axisNote('mean of streams', -40, '#777');
  drawSketch(/** @type {any} */ (target), /** @type {any} */ (figure({ annotations: [note] })), SIZE);
  const names = target.calls.map(([name]) => name).slice(-5);
  assert.deepEqual(names, ['save', 'translate', 'rotate', 'fillText', 'restore']);
  assert.deepEqual(target.calls.at(-4), ['translate', 12, 12]);
  assert.deepEqual(target.calls.at(-3), ['rotate', -Math.PI / 2]);
  const { textAlign, textBaseline } = target.getContext();
  assert.deepEqual([textAlign, textBaseline], ['right', 'middle']);
});

test('ticks of a linear axis are even and plain', () => {
  const target = canvas();
  const yaxis = { range: [-1, 1], nticks: 4 };
  drawSketch(/** @type {any} */ (target), /** @type {any} */ (figure({ yaxis })), SIZE);
  const texts = target.calls.filter(([name]) => name === 'fillText').map(([, text]) => text);
  assert.deepEqual(texts.slice(3, 8), ['−1', '−0.5', '0', '0.5', '1']);
});

test('maps and multi-line text are left to Plotly', () => {
  assert.ok(canSketch(/** @type {any} */ (figure())));
  assert.ok(!canSketch(/** @type {any} */ (figure({ meta: { grid: {} } }))));
  assert.ok(!canSketch(/** @type {any} */ (figure({ xaxis: { scaleanchor: 'y' } }))));
  assert.ok(!canSketch(/** @type {any} */ (figure({ shapes: [{ type: 'circle', y0: -1, y1: 1 }] }))));
  assert.ok(!canSketch(/** @type {any} */ (figure({ annotations: [{ text: 'No run<br>here' }] }))));
  assert.ok(!canSketch(/** @type {any} */ (figure({ annotations: [{ text: 'B: a note', bgcolor: '#fff' }] }))));
});
