import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isContinuous, percentOf, viewBetween } from '../../../static/js/figures/basis.js';

const toView = (key, percent) => ({
  key,
  title: key,
  figure: { layout: {}, data: [{ meta: { run: 0, fill: { z: `signed_log.basis.${percent}`, name: 'label' } } }] },
});
const panel = { key: 'basis', views: [toView('t0', 0), toView('t100', 100)] };
const other = { key: 'gauge', views: [toView('writes', 0)] };

test('a panel whose views are shares has a view for every percent', () => {
  const view = viewBetween(panel, 't37');
  assert.equal(view.title, '0.37');
  assert.deepEqual(view.figure.data[0].meta.fill, { z: 'signed_log.basis.37', name: 'label' });
  assert.equal(viewBetween(panel, 't37'), view, 'the same object, so that nothing is drawn again');
  assert.equal(panel.views[0].figure.data[0].meta.fill.z, 'signed_log.basis.0');
  for (const key of ['t101', 't-1', 't1.5', 'writes', undefined]) assert.equal(viewBetween(panel, key), undefined, key);
  assert.equal(viewBetween(other, 't37'), undefined);
  assert.deepEqual([isContinuous(panel), isContinuous(other)], [true, false]);
  assert.deepEqual(['t0', 't37', 't100', 'x'].map(percentOf), [0, 37, 100, null]);
});
