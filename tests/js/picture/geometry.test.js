import assert from 'node:assert/strict';
import { test } from 'node:test';
import { linksOf, toGlass } from '../../../static/js/picture/geometry/glass.js';
import { layerAt, toLayout, xOf } from '../../../static/js/picture/geometry/layout.js';
import { toCursor, toPlan, toStill } from '../../../static/js/picture/geometry/picture.js';
import { toReading } from '../../../static/js/picture/geometry/reading.js';
import { keysOf, toScale, widthAt } from '../../../static/js/picture/geometry/scale.js';
import { fitText, move, widthOf } from '../../../static/js/picture/geometry/shapes.js';
import { layersPerLine, sizeAt, toExchanges, toRibbon, toStrip } from '../../../static/js/picture/geometry/strip.js';
import { pack, toColumns, toEvenColumns } from './run.js';

const read = (columns) => toReading(columns);
const shown = (columns, label = 'A HC') => ({ label, reading: columns && read(columns), gain: null, end: null });
const heightsOf = ([, y]) => y;
/** Widths of an outline at its corners, from left to right. */
function widthsOf(points) {
  const corners = points.length / 4;
  return Array.from({ length: corners }, (_, at) => points[points.length - 2 * at - 1] - points[2 * at + 1]);
}

test('equal factors of size are equal steps in width, within one scale', () => {
  const scale = toScale([0, 2], 20);
  const [one, ten, hundred] = [0, 1, 2].map((log10) => widthAt(scale, log10));
  assert.ok(Math.abs(ten - one - (hundred - ten)) < 1e-9);
  assert.deepEqual([one, hundred], [1.5, 20]);
});

test('a scale spans a decade at least, and its ends do not move with every layer', () => {
  assert.deepEqual([toScale([0, 0.1], 10).low, toScale([0, 0.1], 10).high], [0, 1]);
  assert.deepEqual(toScale([-0.3, 1.9], 10), toScale([-0.4, 1.8], 10));
});

test('3 and 12 can be told apart beside a run that reaches 1695', () => {
  const plan = toPlan(
    [
      shown(
        toColumns({
          sizes: [
            [0.46, 1, 1, 1],
            [3, 12, 100, 1695],
          ],
        }),
      ),
    ],
    1090,
    1,
  );
  const [three, twelve] = [3, 12].map((size) => widthAt(plan.sizes, Math.log10(size)));
  assert.ok(twelve - three > 3, `${three} ${twelve}`);
});

test('the key has sizes that the scale holds', () => {
  const keys = keysOf(toScale([0, 3.2], 20));
  assert.deepEqual(
    keys.map(({ text }) => text),
    ['1', '10', '100', '1000'],
  );
  assert.ok(keysOf(toScale([-30, 40], 20)).length <= 4);
});

test('strips lie under each other, each as high as its streams need', () => {
  const { bands, height } = toLayout(1090, [1, 4, 16], 64);
  assert.ok(bands.every((band, run) => run === 0 || band.top === bands[run - 1].bottom));
  assert.ok(bands[2].bottom < height);
  assert.deepEqual(
    bands.map(({ lanes }) => lanes.length),
    [1, 4, 16],
  );
  for (const { top, bottom, lanes, glass } of bands) {
    assert.ok(lanes[0] > top && glass.branch < bottom && glass.branch > lanes[lanes.length - 1]);
  }
});

test('on a phone the magnified layer is under its strip, and both are as wide as the screen', () => {
  const { bands, isNarrow } = toLayout(350, [1, 4, 4], 64);
  assert.ok(isNarrow);
  for (const { strip, lanes, glass, bottom } of bands) {
    assert.deepEqual([strip.left, strip.right, glass.right], [10, 340, 350]);
    assert.ok(glass.lanes[0] > lanes[lanes.length - 1] && glass.branch < bottom);
  }
});

test('a point of the strips is a layer; beside them it is none', () => {
  const layout = toLayout(1090, [4], 8);
  const [band] = layout.bands;
  for (const layer of [0, 3, 7]) assert.equal(layerAt(layout, xOf(layout, band, layer + 0.5), 10), layer);
  assert.equal(layerAt(layout, band.strip.left - 5, 10), 0);
  assert.equal(layerAt(layout, band.strip.right + 5, 10), 7);
  assert.equal(layerAt(layout, band.strip.right + 50, 10), null);
  assert.equal(layerAt(toLayout(1090, [], 1), 10, 10), null);
});

test('a ribbon is as wide as the size at every layer, about its own height', () => {
  const reading = read(toColumns({ sizes: [[1], [10], [100]] }));
  const layout = toLayout(1090, [1], 2);
  const scale = toScale([0, 2], 20);
  const [points] = toRibbon(reading, 0, layout, layout.bands[0], scale, 0, 2);
  assert.deepEqual(widthsOf(points).map(Math.round), [2, 11, 20]);
  assert.equal(points[0], layout.bands[0].strip.left);
  const ys = points.filter((_, index) => index % 2 === 1);
  assert.ok(Math.abs(ys.reduce((a, b) => a + b, 0) / ys.length - layout.bands[0].lanes[0]) < 1e-9);
});

test('a ribbon breaks where nothing is known, and ends where the layers do that have come', () => {
  const layout = toLayout(1090, [1], 5);
  const scale = toScale([0, 1], 20);
  const broken = read(toColumns({ sizes: [[1], [2], [null], [2], [3], [3]], status: { 1: 'nan' } }));
  assert.equal(toRibbon(broken, 0, layout, layout.bands[0], scale, 0, 5).length, 2);
  const running = read(toColumns({ sizes: [[1], [2], [3]], layers: 5 }));
  const [points] = toRibbon(running, 0, layout, layout.bands[0], scale, 0, 5);
  assert.equal(points[4], xOf(layout, layout.bands[0], 2));
  const words = toStrip(broken, 0, layout, layout.bands[0], scale).filter(({ kind }) => kind === 'text');
  assert.match(words[0].text, /nan from layer 2, not in all/);
});

test('between two layers a size lies on the line that joins them', () => {
  const reading = read(toColumns({ sizes: [[1], [100]] }));
  assert.deepEqual(
    [0, 0.25, 1].map((place) => sizeAt(reading, 'sizes', place, 0)),
    [0, 0.5, 2],
  );
});

test('exchanges have outputs as rows, leave out what a stream keeps, and the largest come first', () => {
  const reading = read(
    toEvenColumns(1, () => ({
      h_res: pack([
        [0.9, -0.5],
        [0.1, 0.8],
      ]),
    })),
  );
  const found = toExchanges(reading, 0, 1).map(({ source, target, weight }) => [
    source,
    target,
    Number(weight.toFixed(3)),
  ]);
  assert.deepEqual(found, [
    [1, 0, -0.5],
    [0, 1, 0.1],
  ]);
});

test('over several layers they are the product, later layers from the left', () => {
  const [first, second] = [
    [
      [1, 2],
      [0, 1],
    ],
    [
      [1, 0],
      [3, 1],
    ],
  ];
  const reading = read(toEvenColumns(2, (layer) => ({ h_res: pack(layer === 0 ? first : second) })));
  const found = toExchanges(reading, 0, 2).map(({ source, target, weight }) => [source, target, weight]);
  assert.deepEqual(found, [
    [0, 1, 3],
    [1, 0, 2],
  ]); // second · first = [[1, 2], [3, 7]]
});

test('a layer that has not come has no lines, nor has a run of one stream', () => {
  assert.deepEqual(toExchanges(read(toEvenColumns(1)), 0, 1), []);
  const reading = read(toColumns({ sizes: [[1], [1]], values: () => ({ h_res: pack([[1]]) }) }));
  const layout = toLayout(1090, [1], 1);
  const strip = toStrip(reading, 0, layout, layout.bands[0], toScale([0, 1], 20));
  assert.equal(strip.filter(({ kind, color }) => kind === 'line' && color === 0).length, 0);
});

test('lines stand for as many layers as it takes to tell them apart, and negative ones are dashed', () => {
  const shallow = toLayout(1090, [2], 8);
  const deep = toLayout(1090, [2], 256);
  assert.equal(layersPerLine(shallow, shallow.bands[0]), 1);
  const each = layersPerLine(deep, deep.bands[0]);
  assert.ok(each >= 4 && each <= 8, String(each));
  const reading = read(
    toEvenColumns(256, () => ({
      h_res: pack([
        [1, 0.01],
        [-0.02, 1],
      ]),
    })),
  );
  const lines = toStrip(reading, 0, deep, deep.bands[0], toScale([0, 1], 20)).filter(
    ({ kind, color }) => kind === 'line' && color === 0,
  );
  assert.equal(lines.length, 2 * Math.ceil(256 / each));
  assert.equal(lines.filter(({ isDashed }) => isDashed).length, lines.length / 2);
});

/** A layer of two streams, magnified. */
function magnify(values) {
  const reading = read(
    toColumns({
      sizes: [
        [1, 2],
        [3, 4],
      ],
      blocks: ['triangle_outgoing'],
      values: () => values,
    }),
  );
  const layout = toLayout(1090, [2], 1);
  return { band: layout.bands[0], shapes: toGlass(reading, 0, layout.bands[0], toScale([0, 1], 20), 0) };
}
const isWeight = ({ kind, isCurve }) => kind === 'line' && isCurve;

test('the magnified layer has a line for each weight, as thick as it is, and the branch by its name', () => {
  const weights = {
    h_pre: [1, 0],
    h_post: [0.5, 2],
    h_res: pack([
      [1, -0.5],
      [0, 1],
    ]),
  };
  const { band, shapes } = magnify(weights);
  const lines = shapes.filter(isWeight);
  assert.equal(lines.length, 3 + 1 + 2); // those of weight 0 are none
  assert.equal(lines.filter(({ isDashed }) => isDashed).length, 1);
  const reads = lines.filter(({ points }) => points[7] === band.glass.branch);
  assert.deepEqual(
    reads.map(({ points }) => heightsOf(points)),
    [band.glass.lanes[0]],
  );
  const [half, twice] = lines.filter(({ points }) => points[1] === band.glass.branch);
  assert.ok(twice.width > half.width);
  const words = shapes.filter(({ kind }) => kind === 'text').map(({ text }) => text);
  for (const word of ['triangle outgoing', 'reads', 'mixes', 'writes', '1', '2', '3', '4'])
    assert.ok(words.includes(word), word);
});

test('where the branch reads parts apart, each has a port of its own', () => {
  const { shapes } = magnify({
    h_read: pack([
      [1, 0],
      [0, 1],
    ]),
    h_post: [1, 1],
  });
  const ends = shapes.filter(isWeight).map(({ points }) => points[7]);
  assert.equal(new Set(ends).size, 4);
});

test('what tokens differ by lies around the mean, wider and lighter', () => {
  const [band, mean] = magnify({ h_pre: [0.5, 0], h_pre_std: [0.25, 0] }).shapes.filter(isWeight);
  assert.ok(band.width > mean.width && band.opacity < mean.opacity);
  assert.deepEqual(band.points, mean.points);
});

test('a record without weights has sizes, and says that its mixing is not known', () => {
  const { shapes } = magnify({});
  assert.equal(shapes.filter(isWeight).length, 0);
  assert.equal(shapes.filter(({ kind }) => kind === 'dot').length, 4);
  assert.ok(shapes.some(({ text }) => text === 'mixing not known'));
});

test('one stream whose way past a layer was not heard says so where its line would be', () => {
  const columns = toColumns({ sizes: [[1], [2]], values: () => ({ h_pre: [1] }) });
  const plan = toPlan([shown(columns, 'A BERT')], 900, 1);
  const shapes = toCursor(plan, 0, null);
  const { text, y } = shapes.find((shape) => shape.text?.includes('not known'));
  assert.deepEqual([text, y], ['way past not known', plan.layout.bands[0].glass.lanes[0]]);
  assert.ok(shapes.some((shape) => shape.text === 'reads') && !shapes.some((shape) => shape.text === 'writes'));
});

test('a weight too small to be seen is no line', () => {
  const stack = { shape: [1, 2], data: Float64Array.of(0.001, -0.4) };
  assert.deepEqual(
    linksOf({ mean: stack, spread: null }, 0, () => []).map(({ weight }) => weight),
    [-0.4],
  );
});

test('a picture has a name for every run, also of those of which nothing has come', () => {
  const plan = toPlan(
    [
      shown(
        toColumns({
          sizes: [
            [1, 1],
            [2, 2],
          ],
        }),
      ),
      shown(null, 'B mHC'),
    ],
    1090,
    1,
  );
  const words = toStill(plan)
    .filter(({ kind }) => kind === 'text')
    .map(({ text }) => text);
  for (const word of ['A HC', 'B mHC', '2 streams', 'sizes 1 to 2', 'layer 1']) assert.ok(words.includes(word), word);
});

test('while nothing has come there are names alone', () => {
  const begun = shown(toColumns({ sizes: [[null, null]], layers: 4 }), 'A HC');
  assert.deepEqual(toCursor(toPlan([begun], 1090, 4), 0), []);
  const plan = toPlan([shown(null, 'A HC')], 1090, 1);
  assert.deepEqual(toCursor(plan, 0), []);
  assert.deepEqual(
    toStill(plan).map(({ text }) => text),
    ['A HC', '…'],
  );
});

test('nothing of a picture lies outside of it, at any width and number of streams', () => {
  for (const width of [300, 350, 559, 560, 720, 1090, 2000]) {
    for (const streams of [1, 2, 4, 8, 16]) {
      const sizes = [new Array(streams).fill(0.5), new Array(streams).fill(2000)];
      const plan = toPlan([shown(toColumns({ sizes })), shown(toColumns({ sizes: [[1], [1]] }))], width, 1);
      const { height } = plan.layout;
      for (const shape of [...toStill(plan), ...toCursor(plan, 0)]) {
        const points = shape.points ?? [shape.x, shape.y];
        points.forEach((value, index) => {
          const most = index % 2 === 0 ? width : height;
          assert.ok(value >= -1 && value <= most + 1, `${width} ${streams} ${JSON.stringify(shape)}`);
        });
      }
    }
  }
});

test('shapes can be moved, and texts cut to their room', () => {
  const [area, dot] = move(
    [
      { kind: 'area', points: [0, 0, 1, 1] },
      { kind: 'dot', x: 0, y: 0 },
    ],
    5,
    7,
  );
  assert.deepEqual([area.points, dot.x, dot.y], [[5, 7, 6, 8], 5, 7]);
  assert.equal(fitText('short', 10, 200), 'short');
  assert.ok(widthOf(fitText('a long name of a run', 10, 60), 10) <= 60);
  assert.ok(widthOf('10²⁵', 10) < widthOf('1025', 10));
});
