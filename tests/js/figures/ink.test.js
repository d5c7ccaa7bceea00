import assert from 'node:assert/strict';
import { test } from 'node:test';
import { luminance, textColorOn, writeNumbers } from '../../../static/js/figures/ink.js';

const SCALE = /** @type {[number, string][]} */ ([
  [0, '#a63a12'],
  [0.5, '#f4f3f1'],
  [0.75, '#5d9fd0'],
  [1, 'rgb(11, 79, 138)'],
]);

/** @param {number} share @param {number[]} rgb */
function contrastAt(share, rgb) {
  const ink = textColorOn(SCALE, share) === '#000000' ? 0 : 1;
  const [low, high] = [ink, luminance(rgb)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

test('numbers are legible at every stop of a colour scale', () => {
  for (const [share, rgb] of /** @type {[number, number[]][]} */ ([
    [0, [166, 58, 18]],
    [0.5, [244, 243, 241]],
    [0.75, [93, 159, 208]],
    [1, [11, 79, 138]],
  ])) {
    assert.ok(contrastAt(share, rgb) >= 4.5, `at ${share}`);
  }
});

test('colours are interpolated between stops, and clamped at the ends', () => {
  assert.equal(
    textColorOn(
      [
        [0, '#000000'],
        [1, '#ffffff'],
      ],
      0.4,
    ),
    '#ffffff',
  );
  assert.equal(
    textColorOn(
      [
        [0, '#000000'],
        [1, '#ffffff'],
      ],
      0.6,
    ),
    '#000000',
  );
  assert.equal(textColorOn(SCALE, 7), '#ffffff');
  assert.equal(textColorOn(SCALE, -1), textColorOn(SCALE, 0));
});

test('an image has the numbers of its matrices as text, legible on each cell', () => {
  const z = [
    [1, 0.1, -0.4],
    [-1, 0, 0.75],
  ];
  const heat = {
    type: 'heatmap',
    z,
    texttemplate: '%{z:.2f}',
    xaxis: 'x2',
    yaxis: 'y2',
    meta: { run: 1, key: 'h_res' },
  };
  const layout = { coloraxis: { colorscale: SCALE, cmin: -1, cmax: 1 }, xaxis2: {}, yaxis2: { autorange: 'reversed' } };
  const drawn = writeNumbers(/** @type {any} */ ({ data: [heat], layout }));
  const [cells, text] = drawn.data;
  assert.equal(cells.texttemplate, '', 'Plotly writes none of its own');
  assert.deepEqual([text.xaxis, text.yaxis], ['x2', 'y2']);
  assert.deepEqual(text.text, ['1.00', '0.10', '−0.40', '−1.00', '0.00', '0.75']);
  assert.deepEqual(
    [text.x, text.y],
    [
      [1, 2, 3, 1, 2, 3],
      [1, 1, 1, 2, 2, 2],
    ],
    'each in the middle of its cell',
  );
  const inks = z.flat().map((value) => textColorOn(SCALE, (value + 1) / 2));
  assert.deepEqual(text.textfont.color, inks);
  assert.deepEqual(
    [drawn.layout.xaxis2.range, drawn.layout.yaxis2.range],
    [
      [0.5, 3.5],
      [2.5, 0.5],
    ],
    'as wide as the cells',
  );
  assert.deepEqual(layout.xaxis2, {}, 'the figure is left as it is');
});
