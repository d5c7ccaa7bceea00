import assert from 'node:assert/strict';
import { test } from 'node:test';
import { widthOf, wrapText } from '../../../static/js/data/textwidth.js';
import { describeRow, linksOf, mixingAreaOf, toInside } from '../../../static/js/picture/inside.js';
import { labelAt, layerAt, toLayout, xOf } from '../../../static/js/picture/layout.js';
import {
  magnifiedOf,
  ribbonAt,
  toBackShapes,
  toCursor,
  toFrontShapes,
  toOrder,
  toPlan,
  toStaticShapes,
} from '../../../static/js/picture/picture.js';
import { toReading } from '../../../static/js/picture/reading.js';
import { toScale, widthAt } from '../../../static/js/picture/scale.js';
import { areEqual, moveShapes } from '../../../static/js/picture/shapes.js';
import {
  exchangeAt,
  layersPerLine,
  listExchanges,
  sizeAt,
  toExchanges,
  toLosses,
  toMixingLines,
  toRibbons,
} from '../../../static/js/picture/strip.js';
import { pack, toColumns, toEvenColumns } from './run.js';

const WIDE = 1376;
const linear = toScale(1.7, false);
const shown = (columns, label = 'A HC', more = {}) => ({
  label,
  reading: columns && toReading(columns),
  gain: null,
  end: null,
  ...more,
});
/** Return the widths of an outline at its corners, from left to right. */
function widthsOf(points) {
  const corners = points.length / 4;
  return Array.from({ length: corners }, (_, at) => points[points.length - 2 * at - 1] - points[2 * at + 1]);
}
/** List shapes, including clipped ones, each with the frame that clips it. */
const flatten = (shapes, frame = null) =>
  shapes.flatMap((shape) => (shape.kind === 'clip' ? flatten(shape.shapes, shape) : [{ shape, frame }]));
/** Return the ribbon without its glow and its edge. */
const ribbonOf = (areas) => areas.at(-1);
const textsOf = (shapes) => flatten(shapes).flatMap(({ shape }) => (shape.kind === 'text' ? [shape.text] : []));

test('widths are proportional to sizes, and one scale holds for every run and setting', () => {
  const px = [1, 10, 1000].map((size) => widthAt(linear, Math.log10(size)));
  assert.ok(Math.abs(px[1] - 17) < 1e-9 && Math.abs(px[2] - 1700) < 1e-9 && px[0] >= 1.4);
  const [small, large] = [7, 1e30].map((size) =>
    toPlan([shown(toColumns({ sizes: [[1], [7]] })), shown(toColumns({ sizes: [[1], [size]] }))], WIDE, 1),
  );
  assert.deepEqual(small.scale, large.scale);
  const ribbon = (plan) => toRibbons(plan.runs[0].reading, 0, plan.layout, plan.layout.bands[0], plan.scale);
  assert.deepEqual(ribbon(small), ribbon(large), 'a run that explodes next to it moves nothing');
});

test('with logarithmic widths, equal factors are equal steps', () => {
  const log = toScale(1.7, true);
  const [one, ten, hundred] = [0, 1, 2].map((log10) => widthAt(log, log10));
  assert.ok(Math.abs(ten - one - (hundred - ten)) < 1e-9);
});

test('coordinates stay finite, whatever the size', () => {
  for (const scale of [linear, toScale(1.7, true)])
    for (const log10 of [-400, 0, 38, 400]) assert.ok(widthAt(scale, log10) > 0 && widthAt(scale, log10) < 1e5);
  assert.ok(Number.isNaN(widthAt(linear, NaN)));
});

test('runs are stacked without overlap, for 1 to 6 runs and 1 to 16 streams', () => {
  for (const width of [366, 700, WIDE])
    for (const count of [1, 3, 6])
      for (const streams of [1, 4, 16]) {
        const { bands, strips, height } = toLayout(width, new Array(count).fill(streams), 64);
        assert.ok(bands.every((band, run) => run === 0 || Math.abs(band.top - bands[run - 1].bottom) < 1e-9));
        assert.ok(strips.bottom - strips.top <= 373 && strips.bottom < height);
        for (const { top, bottom, lanes } of bands) {
          assert.ok(lanes[0] > top && lanes.at(-1) < bottom, `${width} ${count} ${streams}`);
          assert.equal(lanes.length, streams);
        }
      }
});

test('on a phone the picture takes less than 45 % of the height', () => {
  const { height, inside } = toLayout(366, [1, 4, 4], 64);
  assert.ok(height <= 0.45 * 844, String(height));
  assert.equal(inside, null);
  assert.ok(toLayout(366, [1, 4, 4], 64, { isOpen: true }).inside.top === height);
});

test('runs with unconstrained mixing are at the bottom, and drawn behind the others', () => {
  const columns = toColumns({ sizes: [[1], [7]] });
  const runs = [shown(columns, 'A HC', { isUnconstrained: true }), shown(columns, 'B Residual')];
  assert.deepEqual(toOrder(runs), [1, 0]);
  const plan = toPlan(runs, WIDE, 1);
  assert.ok(plan.layout.bands[0].top > plan.layout.bands[1].top);
  const colors = flatten(toStaticShapes(plan)).flatMap(({ shape }) =>
    shape.kind === 'area' && shape.color !== 'card' ? [shape.color] : [],
  );
  assert.deepEqual(colors, [0, 1]);
});

test('the ribbons of the lowest run are behind all else if its mixing is free, and stay the same with other mixing', () => {
  const withMixing = (weight) =>
    toColumns({
      sizes: [
        [1, 1],
        [7, 9],
      ],
      values: () => ({
        h_res: pack([
          [1, weight],
          [weight, 1],
        ]),
      }),
    });
  const planOf = (weight, isUnconstrained) => toPlan([shown(withMixing(weight), 'A HC', { isUnconstrained })], WIDE, 1);
  const [plan, other, bound] = [planOf(0.5, true), planOf(0.25, true), planOf(0.5, false)];
  const back = flatten(toBackShapes(plan)).map(({ shape }) => shape);
  assert.ok(back.length >= 2 && back.every(({ kind }) => kind === 'area'));
  assert.ok(flatten(toFrontShapes(plan)).every(({ shape }) => shape.kind !== 'area'));
  assert.deepEqual(toStaticShapes(plan), [...toBackShapes(plan), ...toFrontShapes(plan)]);
  assert.deepEqual(toBackShapes(bound), []);
  assert.ok(areEqual(toBackShapes(plan), toBackShapes(other)));
  assert.ok(!areEqual(toFrontShapes(plan), toFrontShapes(other)), 'the lines differ');
  const wider = toPlan([shown(withMixing(0.5), 'A HC', { isUnconstrained: true })], WIDE + 10, 1);
  assert.ok(!areEqual(toBackShapes(plan), toBackShapes(wider)));
});

test('a position in the strips selects a layer, one in the names a run', () => {
  const layout = toLayout(WIDE, [4], 8);
  for (const layer of [0, 3, 7]) assert.equal(layerAt(layout, xOf(layout, layer + 0.5), 10), layer);
  assert.equal(layerAt(layout, layout.strips.left - 5, 10), 0);
  assert.equal(layerAt(layout, layout.strips.right + 50, 10), null);
  assert.equal(layerAt(toLayout(WIDE, [], 1), 10, 10), null);
  assert.deepEqual(
    [labelAt(layout, 30, 40), labelAt(layout, 400, 40), labelAt(layout, WIDE - 20, 40)],
    [0, null, null],
  );
});

test('a ribbon is as wide as the size at every layer, centred in its lane', () => {
  const reading = toReading(toColumns({ sizes: [[1], [10], [20]] }));
  const layout = toLayout(WIDE, [1], 2);
  const { points } = ribbonOf(toRibbons(reading, 0, layout, layout.bands[0], linear));
  assert.deepEqual(
    widthsOf(points).map((px) => Number(px.toFixed(6))),
    [1.7, 17, 34],
  );
  assert.equal(points[0], layout.strips.left);
  const ys = points.filter((_, index) => index % 2 === 1);
  assert.ok(Math.abs(ys.reduce((a, b) => a + b, 0) / ys.length - layout.bands[0].lanes[0]) < 1e-9);
});

test('a ribbon wider than its lane is translucent, glows, and has a hotter colour where it is larger', () => {
  const layout = toLayout(WIDE, [2], 2);
  const draw = (most) => {
    const reading = toReading(
      toColumns({
        sizes: [
          [1, 1],
          [2, 2],
          [most, most],
        ],
      }),
    );
    return toRibbons(reading, 0, layout, layout.bands[0], linear).slice(0, 3); // of the first stream
  };
  const calm = draw(3);
  assert.ok(ribbonOf(calm.slice(0, 2)).opacity > 0.9 && !ribbonOf(calm.slice(0, 2)).heats);
  const flood = draw(1695);
  assert.equal(flood.length, 3, 'a rim on each side, and the ribbon');
  assert.ok(ribbonOf(flood).opacity < 0.75);
  const distances = (points) =>
    points.filter((_, at) => at % 2 === 1).map((y) => Math.abs(y - layout.bands[0].lanes[0]));
  const half = distances(ribbonOf(flood).points);
  for (const { points } of flood.slice(0, -1))
    assert.ok(
      distances(points).every((px, at) => px >= half[at]),
      'a rim lies outside the ribbon',
    );
  const heats = ribbonOf(flood).heats.map(({ heat }) => heat);
  assert.ok(heats[0] === 0 && heats.at(-1) > 0.5, heats.join());
});

test('a ribbon far wider than the card fades, and the others stay unchanged', () => {
  const columns = toColumns({ sizes: [[1], [7]] });
  const planAt = (size, choice = {}) =>
    toPlan([shown(toColumns({ sizes: [[1], [size]] })), shown(columns, 'B')], WIDE, 1, choice);
  const fadeAt = (size) => {
    const { runs, layout, scale } = planAt(size);
    return ribbonOf(toRibbons(runs[0].reading, 0, layout, layout.bands[0], scale)).heats.at(-1).fade;
  };
  const fits = (10 * 372) / 1.7; // ten times the height of the card
  assert.deepEqual([fadeAt(0.99 * fits), planAt(0.99 * fits).isFading], [0, false]);
  assert.ok(fadeAt(30 * fits) > 0.4 && planAt(30 * fits).isFading);
  assert.equal(fadeAt(1e60), 0.8, 'it is still seen');
  assert.equal(planAt(1e60, { isLog: true }).isFading, false);
  const other = (size) => {
    const { runs, layout, scale } = planAt(size);
    return toRibbons(runs[1].reading, 1, layout, layout.bands[1], scale);
  };
  assert.deepEqual(other(10), other(1e60));
});

test('a ribbon breaks at unknown values, and ends at the last layer that has arrived', () => {
  const layout = toLayout(WIDE, [1], 5);
  const broken = toReading(toColumns({ sizes: [[1], [2], [null], [2], [3], [3]], status: { 1: 'nan' } }));
  assert.equal(toRibbons(broken, 0, layout, layout.bands[0], linear).filter(({ color }) => color === 0).length, 2);
  const running = toReading(toColumns({ sizes: [[1], [2], [3]], layers: 5 }));
  const { points } = ribbonOf(toRibbons(running, 0, layout, layout.bands[0], linear));
  assert.equal(points[4], xOf(layout, 2));
  assert.match(toLosses(broken, layout, layout.bands[0])[0].text, /nan from layer 2 \(some streams\)/);
});

test('notes on where sizes end are truncated to their space', () => {
  const sizes = Array.from({ length: 257 }, (_, place) => (place > 127 ? [null, 1] : [1, 1]));
  const reading = toReading(toColumns({ sizes, status: { 127: 'overflow' } }));
  for (const width of [320, 366, 700, WIDE]) {
    const layout = toLayout(width, [2], 256);
    const [{ x, text, anchor }] = toLosses(reading, layout, layout.bands[0]);
    assert.match(text, /overflow/);
    const wide = widthOf(text, 12);
    assert.ok(
      anchor === 'start' ? x + wide <= layout.strips.right : x - wide >= layout.strips.left,
      `${width} ${text}`,
    );
  }
});

test('layers beyond the shown depth are not drawn, and shapes of a strip stay within it', () => {
  const sizes = Array.from({ length: 65 }, (_, place) => new Array(4).fill(10 ** (place / 8)));
  const values = () => ({ h_res: pack(new Array(4).fill(new Array(4).fill(0.5))) });
  const plan = toPlan([shown(toColumns({ sizes, values }))], WIDE, 16);
  const { left, right } = plan.layout.strips;
  for (const { shape, frame } of flatten(toStaticShapes(plan))) {
    if (shape.kind === 'text') continue;
    const xs = shape.points.filter((_, index) => index % 2 === 0);
    assert.ok(Math.min(...xs) >= left - 1 && Math.max(...xs) <= right + 1, JSON.stringify(shape).slice(0, 200));
    if (shape.kind === 'area') assert.deepEqual([frame.x, frame.x + frame.width], [left, right]);
  }
});

test('between two layers a size is interpolated linearly', () => {
  const reading = toReading(toColumns({ sizes: [[1], [100]] }));
  assert.deepEqual(
    [0, 0.25, 1].map((place) => sizeAt(reading, 'sizes', place, 0)),
    [0, 0.5, 2],
  );
});

const twoByTwo = (rows) => toReading(toEvenColumns(1, () => ({ h_res: pack(rows) })));

test('exchanges have outputs as rows, exclude the diagonal, and are sorted by size', () => {
  const reading = twoByTwo([
    [0.9, -0.5],
    [0.1, 0.8],
  ]);
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

test('over several layers exchanges are the product, later layers from the left', () => {
  const stack = [
    [
      [1, 2],
      [0, 1],
    ],
    [
      [1, 0],
      [3, 1],
    ],
  ];
  const reading = toReading(toEvenColumns(2, (layer) => ({ h_res: pack(stack[layer]) })));
  const found = toExchanges(reading, 0, 2).map(({ source, target, weight }) => [source, target, weight]);
  assert.deepEqual(found, [
    [0, 1, 3],
    [1, 0, 2],
  ]); // second · first = [[1, 2], [3, 7]]
});

test('a layer that has not arrived has no lines, nor has a run with one stream', () => {
  assert.deepEqual(toExchanges(toReading(toEvenColumns(1)), 0, 1), []);
  const reading = toReading(toColumns({ sizes: [[1], [1]], values: () => ({ h_res: pack([[1]]) }) }));
  assert.deepEqual(listExchanges(reading, toLayout(WIDE, [1], 1)), []);
});

test('lines cover enough layers to be distinguishable, and negative ones are dashed', () => {
  assert.equal(layersPerLine(toLayout(WIDE, [2], 8)), 1);
  const deep = toLayout(WIDE, [2], 256);
  const each = layersPerLine(deep);
  assert.ok(each >= 4 && each <= 8, String(each));
  const rows = [
    [1, 0.04],
    [-0.05, 1],
  ];
  const reading = toReading(toEvenColumns(256, () => ({ h_res: pack(rows) })));
  const lines = toMixingLines(listExchanges(reading, deep), 0, deep, deep.bands[0]);
  assert.equal(lines.length, 2 * Math.ceil(256 / each));
  assert.equal(lines.filter(({ isDashed }) => isDashed).length, lines.length / 2);
});

test('lines of the mixing are thinner than any ribbon', () => {
  const layout = toLayout(WIDE, [2], 1);
  const rows = [
    [1, 2.5],
    [-0.05, 1],
  ];
  const lines = toMixingLines(listExchanges(twoByTwo(rows), layout), 0, layout, layout.bands[0]);
  assert.ok(lines.length === 2 && lines.every(({ width }) => width < widthAt(linear, 0)));
});

test('the weight at the pointer is that of the nearest line', () => {
  const layout = toLayout(WIDE, [2], 1);
  const [band] = layout.bands;
  const exchanges = listExchanges(
    twoByTwo([
      [1, -0.5],
      [0.25, 1],
    ]),
    layout,
  );
  const middle = (band.lanes[0] + band.lanes[1]) / 2;
  const x = xOf(layout, 0.5);
  assert.ok(exchangeAt(exchanges, layout, band, x, middle));
  const nearStart = xOf(layout, 0.02);
  assert.equal(exchangeAt(exchanges, layout, band, nearStart, band.lanes[0]).weight, 0.25);
  assert.equal(exchangeAt(exchanges, layout, band, nearStart, band.lanes[1]).weight, -0.5);
  assert.equal(exchangeAt(exchanges, layout, band, x, band.lanes[0] - 20), null);
});

/** Magnify a layer of two streams. */
function magnify(values, isBehind = false, name = 'HC') {
  const sizes = [
    [1, 2],
    [3, 123456],
  ];
  const reading = toReading(toColumns({ sizes, blocks: ['triangle_outgoing'], values: () => values }));
  const layout = toLayout(WIDE, [2], 1);
  return { reading, layout, shapes: toInside(reading, 0, name, layout, 0, isBehind) };
}
const isWeight = ({ kind, isCurve }) => kind === 'line' && isCurve;

test('the magnified layer has a line for each weight, as thick as the weight, and a named branch', () => {
  const weights = {
    h_pre: [1, 0],
    h_post: [0.5, 2],
    h_res: pack([
      [1, -0.5],
      [0, 1],
    ]),
  };
  const { shapes } = magnify(weights);
  const lines = shapes.filter(isWeight);
  assert.equal(lines.length, 3 + 1 + 2); // those of weight 0 are none
  assert.equal(lines.filter(({ isDashed }) => isDashed).length, 1);
  const [half, twice] = lines.slice(-2);
  assert.ok(twice.width > half.width);
  const words = textsOf(shapes);
  for (const word of ['Inside layer 1 of HC', 'triangle outgoing', 'reads · mixes · writes', '1.00', '2.00', '3.00'])
    assert.ok(words.includes(word), word);
});

test('a long name ends in front of the tools of the magnified layer', () => {
  const name = 'mHC H_res is replaced by the identity at layers 1 to 6';
  const { layout, shapes } = magnify({}, false, name);
  const { shape } = flatten(shapes).find(({ shape }) => shape.title?.includes(name));
  assert.equal(shape.title, `Inside layer 1 of ${name}`);
  assert.match(shape.text, /^Inside layer 1 of .*…/);
  assert.ok(shape.x + widthOf(shape.text, shape.size, true) <= layout.inside.right - 72);
});

test('the letter of a run replaces a name with edits that does not fit', () => {
  const long = 'mHC identity, layers 1–6';
  const { reading, layout } = magnify({}, false, long);
  const titleOf = (name) => toInside(reading, 0, name, layout, 0, false, [], 'A').find(({ isBold }) => isBold);
  assert.equal(titleOf(long).text, 'Inside layer 1 of run A');
  assert.equal(titleOf(long).title, `Inside layer 1 of ${long}`);
  assert.equal(titleOf('HC').text, 'Inside layer 1 of HC');
  assert.equal(titleOf('Orthogonal').text, 'Layer 1 of Orthogonal');
  assert.match(titleOf('DeepseekV4ForCausalLM').text, /…/);
});

test('numbers of any size fit into the magnified layer', () => {
  const { layout, shapes } = magnify({});
  const number = shapes.find(({ text }) => text === '1.2×10⁵');
  assert.ok(number.x + widthOf(number.text, number.size) <= layout.inside.right - 8);
});

test('sizes of earlier settings are not drawn while those of the current settings are unknown', () => {
  const words = textsOf(magnify({}, true).shapes);
  assert.ok(!words.includes('3.00') && words.includes('triangle outgoing'));
});

test('if the branch reads parts separately, each part has its own port', () => {
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

test('the deviation over tokens is drawn around the mean, wider and lighter', () => {
  const [band, mean] = magnify({ h_pre: [0.5, 0], h_pre_std: [0.25, 0] }).shapes.filter(isWeight);
  assert.ok(band.width > mean.width && band.opacity < mean.opacity);
  assert.deepEqual(band.points, mean.points);
});

test('a record without weights has sizes, and states that its mixing is unknown', () => {
  const { shapes } = magnify({});
  assert.equal(shapes.filter(isWeight).length, 0);
  assert.equal(shapes.filter(({ kind }) => kind === 'dot').length, 4);
  assert.ok(shapes.some(({ text }) => text === 'mixing not known'));
});

test('a weight too small to be visible has no line', () => {
  const stack = { shape: [1, 2], data: Float64Array.of(0.001, -0.4) };
  assert.deepEqual(
    linksOf({ mean: stack, spread: null }, 0, () => []).map(({ weight }) => weight),
    [-0.4],
  );
});

test('the sentence on a layer names the row with the largest sum', () => {
  const describe = (rows) => describeRow(twoByTwo(rows), 0);
  assert.match(
    describe([
      [2, 0.43],
      [0, 1],
    ]),
    /^Row 1 of H_res sums to 2\.43: mixing multiplies a shared signal in stream 1 by 2\.43\.$/,
  );
  assert.match(
    describe([
      [0.5, 0.4],
      [-1, -0.5],
    ]),
    /^Row 2 of H_res sums to −1\.50: mixing multiplies a shared signal in stream 2 by −1\.50\.$/,
  );
  assert.match(
    describe([
      [0.5, 0.5],
      [0.1, 0.9],
    ]),
    /^Every row of H_res sums to 1/,
  );
  assert.equal(describeRow(toReading(toEvenColumns(1)), 0), '');
});

test('the product of the layers so far is a map with its gain', () => {
  const rows = [
    [1, 1],
    [0, 1],
  ];
  const reading = toReading(toEvenColumns(3, () => ({ h_res: pack(rows) })));
  const layout = toLayout(WIDE, [2], 3);
  const shapes = toInside(reading, 0, 'HC', layout, 2); // [[1, 3], [0, 1]]
  assert.ok(textsOf(shapes).includes('Product of layers 1 to 3:') && textsOf(shapes).includes('×4.00'));
  const cells = shapes.filter(({ kind }) => kind === 'area').slice(0, 4);
  assert.ok(cells[1].opacity > cells[0].opacity && cells[0].opacity > cells[2].opacity);
});

/** Return the scale of a layer's map: its shapes, and the texts on either side. */
function keyOf(rows, width = WIDE, seeds = 1) {
  const n = rows.length;
  const reading = { ...toReading(toEvenColumns(1, () => ({ h_res: pack(rows) }))), hasSeeds: seeds > 1 };
  const layout = toLayout(width, [n], 1, { isOpen: true });
  const shapes = toInside(reading, 0, 'HC', layout, 0);
  const [low, high] = shapes.filter(({ kind }) => kind === 'text').slice(-2);
  return { reading, layout, shapes, low, high, cells: shapes.filter(({ kind }) => kind === 'area').slice(n * n) };
}

test('the scale of the map goes from its least weight to its largest, in the colours of its cells', () => {
  const signed = keyOf([
    [1, -3],
    [0, 1],
  ]);
  assert.deepEqual([signed.low.text, signed.high.text], ['−3.00', '3.00']);
  const [first, last] = [signed.cells[0], signed.cells.at(-1)];
  assert.deepEqual([first.color, last.color, first.opacity, last.opacity], ['minus', 'plus', 1, 1]);
  const weights = signed.shapes.filter(({ kind }) => kind === 'area').slice(0, 4);
  assert.deepEqual([weights[1].color, weights[1].opacity], ['minus', 1], 'the largest weight');
  const positive = keyOf([
    [0.5, 0.5],
    [0.1, 0.9],
  ]);
  assert.deepEqual([positive.low.text, positive.high.text], ['0', '0.900']);
  assert.ok(positive.cells.every(({ color }) => color === 'plus'));
});

/** Check that all texts inside a layer are within its card. */
function checkTexts({ inside: { right, bottom } }, shapes, what) {
  for (const { kind, x, y, text, size, isBold, anchor } of shapes) {
    if (kind !== 'text') continue;
    const wide = widthOf(text, size, isBold);
    const end = anchor === 'start' ? x + wide : anchor === 'end' ? x : x + wide / 2;
    assert.ok(end <= right - 12 && y + size / 2 <= bottom - 6, `${what}: ${text}`);
  }
}

test('of several seeds the magnified layer is that of the first, and says so next to the product', () => {
  const identity = [
    [1, 0],
    [0, 1],
  ];
  const textsOf = (seeds) =>
    keyOf(identity, WIDE, seeds).shapes.flatMap(({ kind, text }) => (kind === 'text' ? [text] : []));
  const [one, several] = [textsOf(1), textsOf(5)];
  assert.ok(one.includes('reads · mixes · writes'));
  assert.ok(several.includes('reads · mixes · writes (first seed)'));
  assert.equal(several[several.indexOf('×1.00') + 1], 'first seed');
  assert.equal(several.length, one.length + 1);
  const { layout, shapes } = keyOf(
    identity.map((row) => row.map((value) => 1.2e12 * value)),
    WIDE,
    5,
  );
  checkTexts(layout, shapes, 'a large product');
});

test('one stream magnified below the strips takes less height than several, and its words fit', () => {
  const rows = Array.from({ length: 40 }, (_, layer) =>
    Array.from({ length: 41 }, (_, at) => (at <= layer ? at + 1 : 0)),
  );
  const columns = toColumns({ sizes: Array.from({ length: 41 }, () => [1]) });
  columns.matrices.set('unfolded', { shape: [40, 41], data: Float64Array.from(rows.flat()) });
  const reading = { ...toReading(columns), hasSeeds: true };
  for (const [width, most] of [
    [296, 240],
    [366, 240],
    [700, 180],
  ]) {
    const layout = toLayout(width, [1, 1], 40, { isOpen: true });
    assert.ok(layout.inside.bottom - layout.inside.top <= most);
    checkTexts(layout, toInside(reading, 0, 'AttnRes', layout, 39), `${width} px`);
    const mixed = toLayout(width, [1, 4], 40, { isOpen: true });
    assert.ok(mixed.inside.bottom - mixed.inside.top > most);
  }
});

test('all texts inside a layer are within its card, with a margin at the edges', () => {
  for (const width of [366, 700, WIDE])
    for (const n of [2, 4, 16]) {
      const rows = Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, j) => (i === j ? -123.45 : -0.5)));
      const { layout, shapes, low, high, cells } = keyOf(rows, width, 5);
      checkTexts(layout, shapes, `${width} px, ${n} streams`);
      assert.ok(low.x + widthOf(low.text, 12) < cells[0].points[0], 'the least weight is left of the scale');
      assert.ok(high.x > Math.max(...cells.at(-1).points.filter((_, index) => index % 2 === 0)));
    }
});

test('the area in which the matrix is edited covers no words', () => {
  for (const width of [366, 700, WIDE])
    for (const n of [2, 4, 16]) {
      const rows = Array.from({ length: n }, () => Array(n).fill(1));
      const { reading, layout, shapes } = keyOf(rows, width);
      const { x, y, width: wide, height } = mixingAreaOf(reading, layout, 0);
      assert.ok(x >= layout.inside.left && x + wide <= layout.inside.right);
      const words = shapes.filter(({ kind, text }) => kind === 'text' && text.includes(' '));
      const isCovered = (shape) =>
        shape.y + shape.size / 2 > y && shape.y - shape.size / 2 < y + height && shape.x < x + wide;
      assert.deepEqual(words.filter(isCovered), [], `${width} px, ${n} streams`);
    }
});

test('the run of the requested kind is magnified if it is shown', () => {
  const columns = toEvenColumns(1);
  const runs = [
    shown(columns, 'A HC', { isUnconstrained: true, kind: 'hc' }),
    shown(columns, 'B mHC', { kind: 'mhc' }),
  ];
  assert.deepEqual([magnifiedOf(runs), magnifiedOf(runs, 'mhc'), magnifiedOf(runs.slice(0, 1), 'mhc')], [0, 1, 0]);
  assert.equal(magnifiedOf([runs[0], { ...runs[1], reading: null }], 'mhc'), 0, 'nothing of it has come');
});

test('a position on a ribbon selects its run, the front one where several overlap', () => {
  const calm = toColumns({ sizes: [[4], [4]] });
  const plan = toPlan(
    [shown(toColumns({ sizes: [[1], [1e4]] }), 'A HC', { isUnconstrained: true }), shown(calm, 'B Residual')],
    WIDE,
    1,
  );
  const [hc, residual] = plan.layout.bands.map(({ lanes }) => lanes[0]);
  const [start, end] = [0.01, 0.99].map((place) => xOf(plan.layout, place));
  assert.deepEqual([ribbonAt(plan, start, hc), ribbonAt(plan, start, residual)], [0, 1]);
  assert.equal(ribbonAt(plan, start, (hc + residual) / 2), null, 'between the lanes');
  assert.deepEqual([ribbonAt(plan, end, residual), ribbonAt(plan, end, residual + 20)], [1, 0], 'HC floods the card');
  assert.equal(ribbonAt(plan, plan.layout.strips.left - 5, hc), null);
});

test('the run magnified at first is the first with unconstrained mixing', () => {
  const [one, two] = [toColumns({ sizes: [[1], [1]] }), toEvenColumns(1)];
  assert.equal(magnifiedOf([shown(one), shown(two), shown(two, 'C HC', { isUnconstrained: true })]), 2);
  assert.equal(magnifiedOf([shown(one), shown(two)]), 1);
  assert.equal(magnifiedOf([shown(one)]), 0);
  assert.equal(magnifiedOf([shown(null)]), null);
});

test('a picture has a name for every run, also for runs without data', () => {
  const plan = toPlan([shown(toEvenColumns(1), 'A HC', { gain: '790' }), shown(null, 'B mHC')], WIDE, 1);
  const words = textsOf([...toStaticShapes(plan), ...toCursor(plan, 0, null, null)]);
  for (const word of ['HC', 'mHC', '2 streams', '×790', 'layer 0']) assert.ok(words.includes(word), word);
});

test('without data only names are drawn', () => {
  const plan = toPlan([shown(toColumns({ sizes: [[null, null]], layers: 4 }))], WIDE, 4);
  assert.deepEqual([toStaticShapes(plan), textsOf(toCursor(plan, 0, null, 0))], [[], ['HC', '2 streams']]);
});

test('all shapes are within the picture, for any width and number of streams', () => {
  for (const width of [300, 350, 559, 560, 720, 900, WIDE, 2000]) {
    for (const streams of [1, 2, 4, 8, 16]) {
      const sizes = [new Array(streams).fill(0.5), new Array(streams).fill(2000)];
      const runs = [shown(toColumns({ sizes })), shown(toColumns({ sizes: [[1], [1]] }))];
      const plan = toPlan(runs, width, 1, { isOpen: true });
      const { height } = plan.layout;
      for (const { shape, frame } of flatten([...toStaticShapes(plan), ...toCursor(plan, 0, null, 0)])) {
        const points = frame
          ? [frame.x, frame.y, frame.x + frame.width, frame.y + frame.height]
          : (shape.points ?? [shape.x, shape.y]);
        points.forEach((value, index) => {
          const most = index % 2 === 0 ? width : height;
          assert.ok(value >= -1 && value <= most + 1, `${width} ${streams} ${JSON.stringify(shape)}`);
        });
      }
    }
  }
});

test('shapes can be moved, and texts truncated and wrapped to their space', () => {
  const shapes = [
    { kind: 'area', points: [0, 0, 1, 1] },
    { kind: 'clip', x: 0, y: 0, width: 9, height: 9, shapes: [{ kind: 'dot', x: 0, y: 0 }] },
  ];
  const [area, clip] = moveShapes(shapes, 5, 7);
  assert.deepEqual([area.points, clip.x, clip.shapes[0].y], [[5, 7, 6, 8], 5, 7]);
  assert.ok(widthOf('10²⁵', 10) < widthOf('1025', 10));
  const rows = wrapText('a sentence of several words', 12, 80);
  assert.equal(rows.join(' '), 'a sentence of several words');
  assert.ok(rows.length > 1 && rows.every((row) => widthOf(row, 12) <= 80));
});
