import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toPlan } from '../../../static/js/picture/picture.js';
import { toReading } from '../../../static/js/picture/reading.js';
import { ENDS_MS, SIGNAL_MS, toCourses, toMoment, toSignal, zoomAt } from '../../../static/js/picture/signalfront.js';
import { toColumns } from './run.js';

const LAYERS = 40;
/** Create two streams that grow by `factor` per layer, and a gradient that grows from the last layer to the first. */
function toRun(factor, more = {}) {
  const states = Array.from({ length: LAYERS + 1 }, (_, place) => place);
  const columns = toColumns({
    sizes: states.map((place) => [factor ** place, factor ** place]),
    gradients: states.map((place) => [1e-5 * factor ** (LAYERS - place), 1e-5 * factor ** (LAYERS - place)]),
  });
  const logs = Float64Array.from({ length: LAYERS }, (_, layer) => (layer + 1) * Math.log10(factor));
  const course = { forward: logs, backward: logs.toReversed() };
  return { label: 'A HC', reading: toReading(columns), gain: '1000', course, end: null, ...more };
}
const plan = toPlan([toRun(1.4)], 1376, LAYERS);
const courses = toCourses(plan);
const flatten = (shapes) => shapes.flatMap((shape) => (shape.kind === 'clip' ? flatten(shape.shapes) : [shape]));
const textsOf = (shapes) => flatten(shapes).flatMap(({ kind, text }) => (kind === 'text' ? [text] : []));

test('the animation goes forward, pauses, returns, and ends within six seconds', () => {
  assert.ok(SIGNAL_MS <= 6000);
  assert.deepEqual(toMoment(0), { leg: 'forward', share: 0 });
  assert.deepEqual(toMoment(ENDS_MS.forward), { leg: 'forward', share: 1 });
  assert.equal(toMoment(ENDS_MS.forward + 400).leg, 'backward');
  assert.deepEqual(toMoment(ENDS_MS.backward), { leg: 'backward', share: 0 });
  assert.equal(toMoment(SIGNAL_MS), null);
});

test('lanes are empty at first, and only layers that the front has passed are drawn', () => {
  const ribbons = (share) =>
    flatten(toSignal(plan, courses, { leg: 'forward', share })).filter(
      ({ kind, color }) => kind === 'area' && color === 0,
    );
  assert.equal(ribbons(0).length, 0);
  const { left, right } = plan.layout.strips;
  for (const share of [0.2, 0.5, 0.9]) {
    const xs = ribbons(share).flatMap(({ points }) => points.filter((_, index) => index % 2 === 0));
    assert.ok(Math.abs(Math.max(...xs) - (left + share * (right - left))) < 1e-6);
  }
});

test('the view zooms out by whole factors of ten, as late as possible, and never back', () => {
  const { zooms } = courses.forward;
  const { unit_px } = plan.layout;
  const height = plan.layout.strips.bottom - plan.layout.strips.top;
  zooms.forEach((zoom, place) => {
    assert.ok(Number.isInteger(zoom) && (place === 0 || zoom >= zooms[place - 1]));
    const px = unit_px * 1.4 ** place * 10 ** -zoom;
    assert.ok(px <= height * 1.0001 && (zoom === 0 || px > height / 10.001), `${place} ${px}`);
  });
  assert.equal(zoomAt(courses.forward, 0), 0);
  assert.equal(zoomAt({ readings: [], zooms: new Array(LAYERS + 1).fill(3) }, 0.5), 3);
  assert.ok(zooms.at(-1) >= 3);
});

test('the gradient has its own zoom, from the last layer to the first', () => {
  const { zooms } = courses.backward;
  assert.equal(zooms.at(-1), 0);
  assert.ok(zooms[0] >= 3);
});

test('the gradient starts from empty lanes at the right, where all runs have equal width', () => {
  const small = toColumns({ sizes: [[1], [1]], gradients: [[3], [1]] });
  const large = toColumns({
    sizes: [
      [1, 1],
      [1, 1],
    ],
    gradients: [
      [9e-6, 9e-6],
      [1e-6, 1e-6],
    ],
  });
  const runs = [small, large].map((columns) => ({ label: 'A', reading: toReading(columns), gain: null, end: null }));
  const two = toPlan(runs, 1376, 1);
  const made = toCourses(two);
  const ribbons = (share) =>
    flatten(toSignal(two, made, { leg: 'backward', share })).filter(
      ({ kind, color }) => kind === 'area' && color !== 'card',
    );
  assert.equal(ribbons(1).length, 0, 'nothing of the signal is left');
  const heights = ribbons(0).map(({ points }) => [points.at(-1) - points[1], points.at(-3) - points[3]]);
  assert.deepEqual(
    heights.map(([first, last]) => [Math.round(first / two.layout.unit_px), Math.round(last / two.layout.unit_px)]),
    [
      [9, 1],
      [9, 1],
      [3, 1],
    ],
  );
});

test('a ruler shows the powers of ten that fit, and they move as the view zooms out', () => {
  const ticks = (leg, share) => textsOf(toSignal(plan, courses, { leg, share })).filter((text) => /^10|^1,/.test(text));
  assert.deepEqual(ticks('forward', 0), ['10', '100']);
  assert.ok(ticks('forward', 1).includes('10⁵'), ticks('forward', 1).join());
  assert.deepEqual(ticks('backward', 1), ['10', '100']);
  assert.ok(ticks('backward', 0).includes('10⁵'));
});

test('each ruler has a title, and the front has its position', () => {
  const words = (leg, share) => textsOf(toSignal(plan, courses, { leg, share }));
  for (const share of [0, 0.5, 1]) {
    assert.ok(words('forward', share).includes('Size of the signal'));
    assert.ok(words('backward', share).includes('Gradient relative to layer 40'));
  }
  const title = flatten(toSignal(plan, courses, { leg: 'backward', share: 0.5 })).find(({ text }) =>
    text?.startsWith('Gradient after layer 20'),
  );
  const { left, right, bottom } = plan.layout.strips;
  assert.ok(Math.abs(title.x - (left + right) / 2) < 1 && title.y > bottom, 'under the front');
});

test('gains count up to the front, and it ends on those of the runs', () => {
  const gains = (leg, share) => textsOf(toSignal(plan, courses, { leg, share })).filter((text) => text.includes('×'));
  assert.deepEqual(gains('forward', 0), ['×1.00']);
  assert.deepEqual(gains('forward', 1), ['×1000']);
  const [gain, gradient] = gains('backward', 0);
  assert.equal(gain, '×1000');
  assert.match(gradient, /^backward ×7/); // 1.4 to the power of 40
});

test('a size out of range is drawn with finite coordinates', () => {
  const deep = toPlan([toRun(1e9)], 1376, LAYERS);
  const made = toCourses(deep);
  for (const share of [0, 0.3, 0.7, 1])
    for (const leg of ['forward', 'backward'])
      for (const shape of flatten(toSignal(deep, made, { leg, share })))
        for (const value of shape.points ?? [shape.x, shape.y]) assert.ok(Number.isFinite(value));
});

test('with logarithmic widths nothing zooms', () => {
  const log = toPlan([toRun(1.4)], 1376, LAYERS, { isLog: true });
  assert.ok(toCourses(log).forward.zooms.every((zoom) => zoom === 0));
});
