import assert from 'node:assert/strict';
import { test } from 'node:test';
import { layersWithin, OwnZoom } from '../../../static/js/plots/zoom.js';

const LINE = { xaxis: 'line' };

test('a zoom selects the whole layers within it', () => {
  assert.deepEqual(layersWithin(LINE, { xaxis: [19.4, 35.6] }), { first: 19, last: 34 });
  assert.deepEqual(layersWithin({ xaxis: 'cells', yaxis: 'cells-down' }, { xaxis: [4.5, 9.5] }), { first: 4, last: 8 });
  assert.deepEqual(layersWithin({ yaxis: 'cells-down' }, { yaxis: [9.5, 4.5] }), { first: 4, last: 8 }, 'downwards');
  assert.deepEqual(layersWithin({ xaxis: 'sources' }, { xaxis: [-0.5, 3.2] }), { first: 0, last: 3 }, 'the embedding');
});

test('a zoom between two layers selects both', () => {
  assert.deepEqual(layersWithin(LINE, { xaxis: [4.2, 4.8] }), { first: 3, last: 4 });
});

test('other axes, and a window of layers, select no layers', () => {
  assert.equal(layersWithin(LINE, { yaxis: [0, 1] }), null);
  assert.equal(layersWithin({ xaxis: 'window' }, { xaxis: [3, 9] }), null);
});

test('the zoom of own axes lasts while the same layers are shown', () => {
  const zoom = new OwnZoom();
  zoom.set('0,9', { xaxis: [2, 5], yaxis: [1, 2] }, LINE);
  const figureOf = () => ({
    data: [],
    layout: { xaxis: { range: [0, 9] }, yaxis: { range: [0, 9] }, meta: { axes: { yaxis: { scale: 'log' } } } },
  });
  const [same, other] = [figureOf(), figureOf()];
  zoom.applyTo(same, '0,9');
  zoom.applyTo(other, '2,5');
  assert.deepEqual(same.layout.yaxis.range, [1, 2]);
  assert.ok(same.layout.yaxis.ticktext.includes('20'), 'ticks are those of the range');
  assert.deepEqual(same.layout.xaxis.range, [0, 9], 'layers are no card’s own');
  assert.deepEqual(other.layout.yaxis.range, [0, 9]);
  assert.ok(zoom.clear());
  assert.ok(!zoom.clear());
});
