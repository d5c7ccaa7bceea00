import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mergeCurves, toSlices } from '../../../static/js/picture/canvas.js';
import { toArea, toLine } from '../../../static/js/picture/shapes.js';

// Two layers of 40 px and of 6 px: the ribbon's upper edge is at -x, its lower edge at 2 x.
const XS = [10.2, 50.2, 56.2];
const RIBBON = [...XS.flatMap((x) => [x, -x]), ...XS.toReversed().flatMap((x) => [x, 2 * x])];
const HEATS = [
  { at: 0, heat: 0, fade: 0 },
  { at: 1, heat: 1, fade: 0.5 },
];

test('slices of a ribbon cover it and meet at whole pixels', () => {
  for (const density of [1, 0.5, 1.25]) {
    const slices = toSlices(RIBBON, HEATS, density);
    let [x, top] = [10.2, -10.2];
    for (const { points } of slices) {
      const [left, leftTop, right] = [points[0], points[1], points[points.length / 2 - 2]];
      assert.ok(Math.abs(left - x) < 0.5 / density + 1e-9 && Math.abs(leftTop - top) < 1e-9, `${left} follows ${x}`);
      assert.ok(Math.abs(density * right - Math.round(density * right)) < 1e-9);
      assert.ok(Math.abs(points.at(-1) + 2 * leftTop) < 1e-9, 'its lower edge');
      [x, top] = [right, points[points.length / 2 - 1]];
    }
    assert.ok(Math.abs(x - 56.2) <= 0.5 / density && Math.abs(top + 56.2) < 1e-9);
  }
});

test('slices are wide enough, and their heat is that at their middle', () => {
  const slices = toSlices(RIBBON, HEATS, 1);
  const widths = slices.map(({ points }) => points[points.length / 2 - 2] - points[0]);
  assert.deepEqual(widths, [20, 20, 6], 'a wide layer is split');
  for (const { points, stop } of slices) {
    const middle = ((points[0] + points[points.length / 2 - 2]) / 2 - 10.2) / 46;
    assert.ok(Math.abs(stop.heat - middle) < 0.01 && Math.abs(stop.fade - middle / 2) < 0.01);
  }
  const narrow = toSlices(RIBBON, HEATS, 0.3);
  assert.equal(narrow.length, 1, 'narrow layers are joined');
  assert.equal(narrow[0].points.length, RIBBON.length, 'with the corners between them');
});

test('curves of one colour, dash and opacity become one line, up to another shape', () => {
  const curve = (from, look) => toLine([0, from, 5, from, 5, 9, 10, 9], 0, { width: 0.8, isCurve: true, ...look });
  const [one, other] = [curve(1, { opacity: 0.5 }), curve(2, { opacity: 0.49 })];
  const [first, dashed, ...rest] = mergeCurves([one, curve(3, { isDashed: true }), other]);
  assert.deepEqual(first.points, [...one.points, ...other.points]);
  assert.deepEqual([first.width, dashed.isDashed, rest], [1, true, []]);
  assert.ok(Math.abs(first.opacity - 0.4) < 0.04, 'a thinner line is paler');
  const area = toArea([0, 0, 1, 1, 0, 1], 0);
  assert.deepEqual(
    mergeCurves([one, area, other]).map(({ kind }) => kind),
    ['line', 'area', 'line'],
  );
  assert.deepEqual(mergeCurves([toLine([0, 0, 1, 1], 0, { width: 3 })])[0].width, 3, 'straight lines stay as they are');
});

test('a thick curve becomes two thin ones at its edges', () => {
  const level = toLine([0, 4, 5, 4, 5, 4, 10, 4], 'card', { width: 2, isCurve: true });
  const [{ points, width }] = mergeCurves([level]);
  assert.equal(width, 1);
  assert.deepEqual(
    points.filter((_, at) => at % 2 === 1),
    [4.5, 4.5, 4.5, 4.5, 3.5, 3.5, 3.5, 3.5],
  );
});
