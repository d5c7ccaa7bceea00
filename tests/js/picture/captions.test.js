import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toLabel } from '../../../static/js/picture/geometry/captions.js';

/** The name beside a strip with so much room, in pixels. */
function nameIn(room, shown) {
  const layout = { bands: [{ label: { x: 0, y: 0, room } }], isNarrow: false };
  const [name] = toLabel({ reading: null, gain: null, end: null, ...shown }, 0, /** @type {any} */ (layout));
  return /** @type {import('../../../static/js/picture/geometry/shapes.js').Text} */ (name).text;
}

test('a name without room keeps what tells it from others of its method', () => {
  assert.equal(nameIn(400, { label: 'B Residual 1/√depth' }), 'B Residual 1/√depth');
  assert.equal(nameIn(110, { label: 'B Residual 1/√depth' }), 'B …1/√depth');
  assert.equal(nameIn(110, { label: 'A Residual Constant' }), 'A …Constant');
  assert.match(nameIn(60, { label: 'B Residual 1/√depth' }), /^B .*…/);
});

test('the name of a model keeps its last part', () => {
  const name = 'A sentence-transformers/all-MiniLM-L6-v2';
  assert.equal(nameIn(170, { label: 'A all-MiniLM-L6-v2', name }), 'A all-MiniLM-L6-v2');
});
