import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toArcs } from '../../../static/js/picture/arcs.js';
import { describeReads, toInside } from '../../../static/js/picture/inside.js';
import { toLayout, xOf } from '../../../static/js/picture/layout.js';
import { magnifiedOf } from '../../../static/js/picture/picture.js';
import { sharesAt, toReading } from '../../../static/js/picture/reading.js';
import { toColumns } from './run.js';

const ROWS = [
  [1, 0, 0, 0],
  [0.5, 0.5, 0, 0],
  [0.2, 0.7, 0.1, 0],
];

/** Build columns of three layers whose weights over depth are known. */
function toAttending() {
  const columns = toColumns({ sizes: [[1], [1], [1], [1]] });
  columns.matrices.set('unfolded', { shape: [3, 4], data: Float64Array.from(ROWS.flat()) });
  return columns;
}

test('shares are the weights of a layer over their sum, of the sources so far', () => {
  const reading = toReading(toAttending());
  assert.deepEqual(sharesAt(reading, 0), [1]);
  assert.deepEqual(sharesAt(reading, 1), [0.5, 0.5]);
  assert.equal(sharesAt(reading, 3), null, 'there is no such layer');
  assert.ok(Math.abs(sharesAt(reading, 2)[1] - 0.7) < 1e-12);
});

test('a run with mixing has no arcs, though its effective skip connections are known', () => {
  const columns = toAttending();
  columns.matrices.set('h_res', { shape: [3, 1, 1], data: Float64Array.from([1, 1, 1]) });
  const reading = toReading(columns);
  const layout = toLayout(1376, [1], 3);
  assert.equal(reading.outputs, null);
  assert.deepEqual(toArcs(reading, 0, layout, layout.bands[0], 2), []);
});

test('an arc leads from each source to the layer that reads it, wider and more opaque where its share is larger', () => {
  const reading = toReading(toAttending());
  const layout = toLayout(1376, [1], 3);
  const [band] = layout.bands;
  const arcs = toArcs(reading, 0, layout, band, 2);
  assert.deepEqual(
    arcs.map(({ points }) => points[0]),
    [0, 1, 2].map((source) => xOf(layout, source)),
  );
  for (const { points, isCurve } of arcs) {
    assert.ok(isCurve);
    assert.ok(points.at(-2) > xOf(layout, 2) && points.at(-2) < xOf(layout, 3), 'it ends within the layer');
    const highest = 0.25 * points[1] + 0.75 * points[3];
    assert.ok(highest > band.top && highest < band.lanes[0], 'it stays within the band of the run');
  }
  const order = arcs.map(({ width }, index) => [width, index]).sort(([one], [other]) => other - one);
  assert.deepEqual(
    order.map(([, index]) => index),
    [1, 0, 2],
  );
  assert.ok(arcs[1].opacity > arcs[0].opacity && arcs[0].opacity > arcs[2].opacity);
});

test('the magnified layer names what it reads most, and says where it reads evenly', () => {
  const reading = toReading(toAttending());
  assert.equal(describeReads(reading, 0), 'Layer 1 reads the embedding alone.');
  assert.equal(describeReads(reading, 1), 'It reads 2 sources evenly: 50.0 % each.');
  assert.equal(
    describeReads(reading, 2),
    'It reads most of the output of layer 1 (70.0 %), the embedding (20.0 %), the output of layer 2 (10.0 %). An even share is 33.3 %.',
  );
  const shapes = toInside(reading, 0, 'AttnRes', toLayout(1376, [1], 3), 2);
  const texts = shapes.flatMap((shape) => (shape.kind === 'text' ? [shape.text] : []));
  assert.ok(texts.includes('reads the embedding and earlier outputs'));
  assert.ok(!texts.includes('skip path not known'));
});

test('outputs that are in no source do not count, and a layer whose weights are unknown has neither arcs nor words', () => {
  const columns = toColumns({ sizes: [[1], [1], [1], [1]] });
  const rows = [
    [1, 0, 0, 0],
    [NaN, NaN, 0, 0],
    [0.5, 0, 0.5, 0],
  ];
  columns.matrices.set('unfolded', { shape: [3, 4], data: Float64Array.from(rows.flat()) });
  const reading = toReading(columns);
  assert.equal(describeReads(reading, 2), 'It reads 2 sources evenly: 50.0 % each.');
  assert.equal(sharesAt(reading, 1), null);
  assert.equal(describeReads(reading, 1), '');
  const layout = toLayout(1376, [1], 3);
  assert.deepEqual(toArcs(reading, 0, layout, layout.bands[0], 1), []);
  assert.equal(toArcs(reading, 0, layout, layout.bands[0], 2).length, 2);
});

test('where no run mixes streams, one that reads over depth is magnified', () => {
  const plain = toColumns({ sizes: [[1], [1], [1], [1]] });
  const runs = [plain, toAttending()].map((columns) => ({
    label: '',
    reading: toReading(columns),
    gain: null,
    end: null,
  }));
  assert.equal(magnifiedOf(runs), 1);
});
