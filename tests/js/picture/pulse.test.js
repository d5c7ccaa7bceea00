import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pointOn } from '../../../static/js/picture/geometry/inside.js';
import { xOf } from '../../../static/js/picture/geometry/layout.js';
import { toPlan } from '../../../static/js/picture/geometry/picture.js';
import {
  INSIDE_MS,
  legOf,
  REST_MS,
  STILL,
  toLens,
  toMoment,
  toPulse as toPulseAt,
  windowOf,
} from '../../../static/js/picture/geometry/pulse.js';
import { toReading } from '../../../static/js/picture/geometry/reading.js';
import { pack, toColumns } from './run.js';

const SIZES = [
  [1, 1],
  [2, 8],
  [4, 64],
];
const GRADIENTS = [
  [0.4, 0.3],
  [0.2, 0.1],
  [0.01, 0.02],
];
const toShown = (columns) => ({ label: 'A HC', reading: toReading(columns), gain: null, end: null });
const planOf = (columns, width = 1090, layers = 2) => toPlan([toShown(columns)], width, layers);
const whole = () => planOf(toColumns({ sizes: SIZES, gradients: GRADIENTS }));
const beads = (shapes) => shapes.filter(({ kind }) => kind === 'dot');
const texts = (shapes) => shapes.filter(({ kind }) => kind === 'text').map(({ text }) => text);

const toPulse = (plan, moment) => toPulseAt(plan, { inside: null, ...moment }, 0);

test('a signal goes forward, slower in the magnified layer, rests, and its gradient comes back the same way', () => {
  const lens = toLens(1, 4);
  const leg_ms = legOf(lens);
  assert.deepEqual([lens.from, lens.to], [0.25, 0.5]);
  assert.deepEqual(toMoment(0, lens), { leg: 'forward', share: 0, inside: null });
  const entered_ms = (leg_ms - INSIDE_MS) / 3;
  const half = toMoment(entered_ms + INSIDE_MS / 2, lens);
  assert.equal(half.leg, 'forward');
  assert.ok(Math.abs(half.share - 0.375) < 1e-9 && Math.abs(half.inside - 0.5) < 1e-9);
  assert.deepEqual(toMoment(leg_ms + REST_MS / 2, lens), { leg: 'forward', share: 1, inside: null });
  assert.deepEqual(toMoment(leg_ms + REST_MS, lens), { leg: 'backward', share: 1, inside: null });
  const back = toMoment(leg_ms + REST_MS + (leg_ms - entered_ms - INSIDE_MS / 4), lens);
  assert.ok(back.leg === 'backward' && Math.abs(back.inside - 0.25) < 1e-9);
  assert.equal(toMoment(2 * leg_ms + REST_MS, lens).share, 0);
  assert.equal(toMoment(2 * leg_ms + 2 * REST_MS, lens), null);
});

test('it goes on without a jump through the first, a middle and the last layer', () => {
  for (const layer of [0, 5, 9]) {
    const lens = toLens(layer, 10);
    let last = 0;
    for (let at = 0; at < legOf(lens); at += 10) {
      const { share } = toMoment(at, lens);
      assert.ok(share >= last - 1e-9 && share - last < 0.01, `${layer} ${at}`);
      last = share;
    }
    assert.ok(last > 0.99);
  }
});

test('inside the layer a bead as large as its weight is on every line: first into the branch, then out of it', () => {
  const values = () => ({
    h_pre: [1, 0.1],
    h_post: [1, 1],
    h_res: pack([
      [1, 0],
      [0, 1],
    ]),
  });
  const plan = planOf(toColumns({ sizes: SIZES, values }));
  const [band] = plan.layout.bands;
  const at = (inside) => beads(toPulseAt(plan, { leg: 'forward', share: 0, inside }, 0));
  const [, , first, second] = at(0);
  assert.deepEqual([first.y, second.y], band.glass.lanes, 'the branch reads both streams');
  assert.ok(first.radius > second.radius);
  assert.deepEqual(
    at(0.75)
      .slice(2)
      .map(({ y }) => y < band.glass.branch),
    [true, true],
  );
  assert.deepEqual(
    at(1)
      .slice(2)
      .map(({ y }) => Math.round(y)),
    band.glass.lanes.map(Math.round),
  );
  assert.ok(
    texts(toPulseAt(plan, { leg: 'backward', share: 0, inside: 0.5 }, 0)).includes('← gradient inside layer 1'),
  );
});

test('before there are runs there is no signal', () => {
  const plan = toPlan([], 1090, 1);
  for (const inside of [null, 0.5]) assert.deepEqual(toPulseAt(plan, { leg: 'forward', share: 0, inside }, 0), []);
  assert.equal(windowOf(plan.layout, [{ leg: 'forward', share: 0, inside: 0.5 }]).left, 0);
});

test('a curve begins and ends at its ends', () => {
  const curve = [0, 1, 5, 1, 5, 9, 10, 9];
  assert.deepEqual(
    [pointOn(curve, 0), pointOn(curve, 0.5), pointOn(curve, 1)],
    [
      [0, 1],
      [5, 5],
      [10, 9],
    ],
  );
});

test('it shows what was measured where it is: sizes forward, gradients back', () => {
  const plan = whole();
  const forward = toPulse(plan, { leg: 'forward', share: 0.5 });
  assert.deepEqual(texts(forward).slice(0, 2), ['2', '8']);
  assert.ok(beads(forward)[1].radius > beads(forward)[0].radius);
  assert.ok(texts(forward).includes('signal → after layer 1'));
  const backward = toPulse(plan, { leg: 'backward', share: 0 });
  assert.deepEqual(texts(backward).slice(0, 2), ['0.4', '0.3']);
  assert.ok(texts(backward).includes('← gradient before the layers'));
  assert.notEqual(beads(forward)[0].fill, beads(backward)[0].fill);
});

test('between two layers its number is that of the nearer one', () => {
  assert.deepEqual(texts(toPulse(whole(), { leg: 'forward', share: 0.7 })).slice(0, 2), ['2', '8']);
  assert.deepEqual(texts(toPulse(whole(), { leg: 'forward', share: 0.8 })).slice(0, 2), ['4', '64']);
});

test('its tail lies behind it on either way', () => {
  const plan = whole();
  const x = xOf(plan.layout, plan.layout.bands[0], 1);
  const xs = (leg) =>
    toPulse(plan, { leg, share: 0.5 }).flatMap(({ kind, points }) =>
      kind === 'area' ? points.filter((_, index) => index % 2 === 0) : [],
    );
  assert.ok(xs('forward').every((value) => value <= x) && xs('forward').some((value) => value < x));
  assert.ok(xs('backward').every((value) => value >= x) && xs('backward').some((value) => value > x));
});

test('in a run that is being computed it waits at the last layer that has come', () => {
  const plan = planOf(toColumns({ sizes: SIZES, layers: 10 }), 1090, 10);
  const [bead] = beads(toPulse(plan, { leg: 'forward', share: 0.9 }));
  assert.equal(bead.x, xOf(plan.layout, plan.layout.bands[0], 2));
  assert.deepEqual(beads(toPulse(plan, { leg: 'backward', share: 0.9 })), []);
});

test('of many streams it has beads without numbers', () => {
  const sizes = [new Array(16).fill(1), new Array(16).fill(2)];
  const shapes = toPulse(planOf(toColumns({ sizes }), 1090, 1), { leg: 'forward', share: 1 });
  assert.equal(beads(shapes).length, 16);
  assert.equal(texts(shapes).length, 1);
});

test('all that it shows lies within its window, at every moment', () => {
  for (const width of [350, 1090, 1800]) {
    const plan = planOf(toColumns({ sizes: SIZES, gradients: GRADIENTS }), width);
    const lens = toLens(1, 2);
    for (let at = 0; toMoment(at, lens); at += 97) {
      const moment = toMoment(at, lens);
      const { left, width: room } = windowOf(plan.layout, [moment]);
      for (const shape of toPulseAt(plan, moment, 1)) {
        const [from, to] =
          shape.kind === 'box'
            ? [shape.x, shape.x + shape.width]
            : shape.kind === 'dot'
              ? [shape.x - shape.radius, shape.x + shape.radius]
              : [shape.x ?? left, shape.x ?? left];
        assert.ok(from >= left && to <= left + room, `${width} ${at} ${JSON.stringify(shape)}`);
      }
    }
  }
});

test('without motion both ends stand still', () => {
  assert.deepEqual(
    STILL.map(({ leg, share }) => [leg, share]),
    [
      ['forward', 1],
      ['backward', 0],
    ],
  );
  const { layout } = whole();
  assert.deepEqual(windowOf(layout, STILL), { left: 0, width: layout.width });
});
