import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addFrame, createColumns } from '../../../static/js/data/columns.js';
import { areForwardCurvesComplete, chooseDrawn, columnsOf, shownOf } from '../../../static/js/figures/drawing.js';

const TEMPLATE = /** @type {any} */ ({ data: [{ meta: { run: 0, key: 'act_rms' } }] });

/** Create a run with the given number of arrived layers; it is complete if `isWhole`. */
function run(layers, isWhole) {
  const columns = createColumns();
  let index = 0;
  const add = (type, data) => addFrame(columns, { run: 'r', index: index++, type, ...data });
  add('start', { layers: 4, streams: 1, spec: {} });
  for (let layer = 0; layer < layers; layer++) add('forward', { layer, values: { act_rms: 1 }, log10: {}, status: {} });
  if (isWhole) add('end', { status: 'done', reason: null });
  return columns;
}

/** @param {string} id @param {any} columns @param {any[]} before */
const slot = (id, columns, before = [], derived = null) => ({
  id,
  requestKey: undefined,
  label: 'mHC',
  columns,
  place: null,
  derived,
  before,
});

test('a run without data keeps the earlier columns, dimmed, whatever frames arrived for them', () => {
  const [whole, broken, fresh] = [run(4, true), run(2, false), run(0, false)];
  const first = chooseDrawn(TEMPLATE, [slot('a', whole)], []);
  assert.deepEqual([first.isStale, first.isNew, first.places[0].columns], [false, true, whole]);
  const drag = chooseDrawn(TEMPLATE, [slot('b', broken, [slot('a', whole)])], first.places);
  assert.deepEqual([drag.isStale, drag.isNew, drag.places[0].columns], [false, true, broken]);
  assert.notEqual(drag.places[0].signature, first.places[0].signature);
  addFrame(broken, { run: 'r', index: 9, type: 'forward', layer: 2, values: { act_rms: 1 }, log10: {}, status: {} });
  const next = chooseDrawn(TEMPLATE, [slot('c', fresh, [slot('b', broken), slot('a', whole)])], drag.places);
  assert.deepEqual([next.isStale, next.isNew], [true, false]);
  assert.deepEqual(next.places, drag.places); // so nothing is drawn
});

test('a figure without drawing takes the latest columns with data, else the complete run', () => {
  const [whole, broken, fresh] = [run(4, true), run(2, false), run(0, false)];
  assert.equal(
    chooseDrawn(TEMPLATE, [slot('c', fresh, [slot('b', broken), slot('a', whole)])], []).places[0].columns,
    broken,
  );
  assert.equal(
    chooseDrawn(TEMPLATE, [slot('c', fresh, [slot('b', run(0, false)), slot('a', whole)])], []).places[0].columns,
    whole,
  );
  assert.equal(chooseDrawn(TEMPLATE, [slot('c', fresh)], []).places[0].columns, fresh);
});

test('an ended run is shown even without the wanted data', () => {
  const over = run(0, true);
  assert.equal(
    shownOf(slot('b', over, [slot('a', run(4, true))]), (columns) => columns.layers.has('act_rms')).columns,
    over,
  );
});

test('curves are complete when every run has its loss, or has ended', () => {
  const climbed = run(4, false);
  addFrame(climbed, { run: 'r', index: 9, type: 'loss', values: { loss: 4.1 }, log10: {}, status: {} });
  assert.ok(areForwardCurvesComplete([slot('a', climbed), slot('b', run(4, true))]));
  assert.ok(!areForwardCurvesComplete([slot('a', climbed), slot('c', run(4, false))]));
  assert.ok(!areForwardCurvesComplete([slot('a', run(0, false))]));
});

// ---- derived columns

const PAIR = /** @type {any} */ ({ data: [0, 1].map((run) => ({ meta: { run, key: 'act_rms' } })) });

/** Create a run with derived columns of so many layers, except for metrics that wait. */
function derivedRun(layers, ...waits) {
  const columns = run(waits.includes('act_rms') ? 0 : layers, false);
  columns.waits = new Set(waits);
  return columns;
}

test('derived columns are shown as final before the server responds', () => {
  const [old, fresh, here] = [run(4, true), createColumns(), derivedRun(3, 'grad_rms')];
  const first = chooseDrawn(TEMPLATE, [slot('a', old)], []);
  const moved = chooseDrawn(TEMPLATE, [slot('', fresh, [slot('a', old)], here)], first.places);
  assert.deepEqual([moved.isStale, moved.isNew, moved.results], [false, false, [here]]);
  assert.notEqual(moved.places[0].signature, first.places[0].signature);
});

test('first frames of the server do not replace complete derived columns', () => {
  const here = derivedRun(4);
  const drawn = chooseDrawn(TEMPLATE, [slot('', createColumns(), [slot('a', run(4, true))], here)], []);
  const part = chooseDrawn(TEMPLATE, [slot('b', run(2, false), [slot('a', run(4, true))], here)], drawn.places);
  assert.deepEqual(part.results, [here]);
  assert.deepEqual(part.places, drawn.places);
});

test('confirmed columns are taken without redrawing', () => {
  const [here, whole] = [derivedRun(4), run(4, true)];
  const drawn = chooseDrawn(TEMPLATE, [slot('', createColumns(), [], here)], []);
  const confirmed = chooseDrawn(TEMPLATE, [slot('b', whole, [], here)], drawn.places);
  assert.deepEqual(confirmed.results, [whole]);
  assert.equal(confirmed.places[0].signature, drawn.places[0].signature);
  assert.notEqual(chooseDrawn(TEMPLATE, [slot('b', whole)], []).places[0].signature, drawn.places[0].signature);
});

test('columns derived for different slider values have different signatures', () => {
  const signatures = [derivedRun(4), derivedRun(4)].map(
    (here) => chooseDrawn(TEMPLATE, [slot('', createColumns(), [], here)], []).places[0].signature,
  );
  assert.notEqual(signatures[0], signatures[1]);
});

test('a figure whose metric waits for the server stays unchanged', () => {
  const [old, here] = [run(4, true), derivedRun(3, 'act_rms')];
  const { isStale, results } = chooseDrawn(TEMPLATE, [slot('', createColumns(), [slot('a', old)], here)], []);
  assert.deepEqual([isStale, results], [true, [old]]);
});

test('laws wait for the server although their metric is derived', () => {
  const theory = /** @type {any} */ ({
    data: [{ meta: { run: 0, key: 'act_rms', fill: { y: 'law.values.act_rms' } } }],
  });
  const here = slot('', createColumns(), [slot('a', run(4, true))], derivedRun(3, 'theory'));
  assert.equal(chooseDrawn(theory, [here], []).isStale, true);
  assert.equal(chooseDrawn(TEMPLATE, [here], []).isStale, false);
});

test('runs change together: while one has no data, all stay', () => {
  const [first, second] = [run(4, true), run(4, true)];
  const drawn = chooseDrawn(PAIR, [slot('a', first), slot('b', second)], []);
  const half = [slot('c', run(2, true), [slot('a', first)]), slot('d', run(0, false), [slot('b', second)])];
  assert.deepEqual(chooseDrawn(PAIR, half, drawn.places).places, drawn.places);
  assert.deepEqual(chooseDrawn(PAIR, half, []).results, [first, second]);
  const both = [half[0], slot('d', run(1, false), [slot('b', second)])];
  assert.deepEqual(
    chooseDrawn(PAIR, both, drawn.places).results.map((columns) => columns.layers.get('act_rms')?.[1]),
    [1, NaN],
  );
});

test('earlier columns belong to one moment for all runs', () => {
  const [wholeA, wholeB, broken] = [run(4, true), run(4, true), run(2, false)];
  const slots = [
    slot('e', createColumns(), [slot('c', broken), slot('a', wholeA)]),
    slot('f', createColumns(), [slot('d', run(0, false)), slot('b', wholeB)]),
  ];
  assert.deepEqual(chooseDrawn(PAIR, slots, []).results, [wholeA, wholeB]);
});

test('without earlier columns, runs are drawn as they arrive; an added run follows later', () => {
  const some = run(2, false);
  const first = chooseDrawn(PAIR, [slot('a', some), slot('b', run(0, false))], []);
  assert.deepEqual([first.isStale, first.isNew, first.results[0]], [false, true, some]);
  const added = [slot('a', run(4, true), [slot('a', run(4, true))]), slot('b', createColumns())];
  assert.equal(chooseDrawn(PAIR, added, []).results[1].start, null);
});

test('readers of a number take derived columns, else earlier ones', () => {
  const [old, here] = [run(4, true), derivedRun(3, 'grad_rms')];
  const place = slot('', createColumns(), [slot('a', old)], here);
  assert.equal(shownOf(place, (columns) => columns.layers.has('act_rms')).columns, here);
  assert.equal(shownOf(place, (columns) => columns.end !== null).columns, old);
  assert.equal(columnsOf(place, ['act_rms']), here);
  assert.equal(columnsOf(place, ['act_rms', 'grad_rms']), place.columns);
  const over = slot('b', run(4, true), [], here);
  assert.equal(shownOf(over, () => true).columns, over.columns);
  assert.equal(columnsOf(over, ['act_rms']), over.columns);
});
