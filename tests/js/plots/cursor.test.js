import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canPaintCursor, paintCursor } from '../../../static/js/plots/cursor.js';

const INK = '#101010';
const AREA = {
  x: 'xaxis',
  y: 'yaxis',
  left: 50,
  top: 10,
  width: 200,
  height: 100,
  toX: (layer) => 50 + 100 * (layer - 1),
  toY: (value) => 110 - 50 * value,
};

/** Create a filled figure of a curve over layers 1 to 3. */
function figure() {
  const line = { color: '#aa0000' };
  const curve = { x: [1, 2, 3], y: [0, 1, 2], text: ['0', '1', '2'], line, meta: { run: 0, end: true } };
  return { data: [curve], layout: { meta: { layers: { xaxis: 'line' }, ink: INK } } };
}

/** Create a pen that lists what it fills, with colour and opacity. */
function pen() {
  const filled = [];
  let path = null;
  return {
    filled,
    globalAlpha: 1,
    fillStyle: '',
    beginPath: () => {},
    arc: (x, y, radius) => {
      path = { x, y, radius };
    },
    rect: (x, y, width, height) => {
      path = { x, y, width, height };
    },
    fill() {
      filled.push({ ...path, color: this.fillStyle, alpha: this.globalAlpha });
    },
  };
}

const line = (x, alpha) => ({ x, y: 10, width: 1, height: 100, color: INK, alpha });
const dot = (x, y) => ({ x, y, radius: 3.5, color: '#aa0000', alpha: 1 });

test('a cursor in a sketch is a line at its layer and a dot on each curve', () => {
  const used = pen();
  paintCursor(used, [AREA], figure(), { layer: 1, step: null, hovered: null });
  assert.deepEqual(used.filled, [line(150, 0.75), dot(150, 60)]);
  assert.equal(used.globalAlpha, 1);
});

test('while another layer is pointed at, the cursor is a faint line and the dots are at the pointer', () => {
  const used = pen();
  paintCursor(used, [AREA], figure(), { layer: 1, step: null, hovered: 2 });
  assert.deepEqual(used.filled, [line(150, 0.3), line(250, 0.75), dot(250, 10)]);
});

test('cursors of matrices stay elements', () => {
  assert.ok(canPaintCursor(figure()));
  for (const kind of ['cells', 'window'])
    assert.ok(!canPaintCursor({ layout: { meta: { layers: { xaxis: kind, yaxis: 'line' } } } }));
  assert.ok(canPaintCursor({ layout: { meta: {} } }));
});
