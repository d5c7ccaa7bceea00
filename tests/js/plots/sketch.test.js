import assert from 'node:assert/strict';
import { test } from 'node:test';
import { axisNote } from '../../../static/js/figures/labels.js';
import { canSketch, drawSketch } from '../../../static/js/plots/sketch.js';

globalThis.devicePixelRatio = 2;
globalThis.ImageData = class {
  constructor(width, height) {
    this.data = new Uint8ClampedArray(4 * width * height);
  }
};
globalThis.OffscreenCanvas = class {
  getContext() {
    return { putImageData: ({ data }) => Object.assign(this, { data }) };
  }
};

/** Create a canvas that records drawing calls. */
function canvas() {
  const calls = [];
  const pen = new Proxy(
    { measureText: (text) => ({ width: 7 * text.length }), createLinearGradient: () => ({ addColorStop: () => {} }) },
    {
      get: (own, name) => own[name] ?? ((...values) => calls.push([name, ...values])),
      set: (own, name, value) => {
        own[name] = value;
        return true;
      },
    },
  );
  return { calls, style: { setProperty: () => {} }, getContext: () => pen };
}

/** Create a filled figure of one curve over layers 1 to 3, with a band below it. */
function figure(more = {}) {
  const line = { color: '#000', width: 2, dash: '4px,2px' };
  const edge = { type: 'scatter', x: [1, 2, 3], line: { width: 0 } };
  return {
    data: [
      { ...edge, y: [0, 0, null] },
      { ...edge, y: [1, 1, 1], fill: 'tonexty', fillcolor: 'red' },
      {
        type: 'scatter',
        mode: 'lines',
        x: [1, 2, 3],
        y: [0, null, 2],
        line,
      },
    ],
    layout: {
      meta: {},
      annotations: [
        { text: 'A HC', xref: 'x domain', x: 1, xanchor: 'left', yref: 'y domain', y: 1, yanchor: 'middle' },
      ],
      shapes: [{ type: 'line', y0: 1, y1: 1, line: { color: '#777', width: 1 } }],
      margin: { l: 50, r: 50, t: 10, b: 40 },
      font: { size: 12, family: 'serif', color: '#333' },
      xaxis: { range: [1, 3], gridcolor: '#eee', dtick: 1, title: { text: 'layer' } },
      yaxis: {
        range: [0, 2],
        tickmode: 'array',
        tickvals: [0, 1, 9],
        ticktext: ['1', '10<sup>1</sup>', 'out of sight'],
      },
      ...more,
    },
  };
}

const SIZE = { width: 300, height: 150, magnified: 1 };

test('curves follow the filled axes, with gaps', () => {
  const target = canvas();
  const [area] = drawSketch(/** @type {any} */ (target), /** @type {any} */ (figure()), SIZE);
  assert.deepEqual([area.toX(1), area.toX(3), area.toY(0), area.toY(2)], [50, 250, 110, 10]);
  const moves = target.calls.filter(([name]) => name === 'moveTo').map(([, x, y]) => [x, y]);
  assert.deepEqual(moves.slice(-2), [
    [50, 110],
    [250, 10],
  ]); // both sides of the gap start a new path
  assert.ok(target.calls.some(([name, dash]) => name === 'setLineDash' && dash.join() === '4,2'));
});

test('axes have tick labels with separate exponents, none out of range', () => {
  const target = canvas();
  drawSketch(/** @type {any} */ (target), /** @type {any} */ (figure()), SIZE);
  const texts = target.calls.filter(([name]) => name === 'fillText').map(([, text]) => text);
  assert.deepEqual(texts, ['1', '2', '3', 'layer', '1', '1', '10', 'A HC']);
});

test('text along the vertical axis is turned upwards, and ends at the top of the axis', () => {
  const target = canvas();
  const note = axisNote('mean of streams', -40, '#777');
  drawSketch(/** @type {any} */ (target), /** @type {any} */ (figure({ annotations: [note] })), SIZE);
  const names = target.calls.map(([name]) => name).slice(-5);
  assert.deepEqual(names, ['save', 'translate', 'rotate', 'fillText', 'restore']);
  assert.deepEqual(target.calls.at(-4), ['translate', 12, 12]);
  assert.deepEqual(target.calls.at(-3), ['rotate', -Math.PI / 2]);
  const { textAlign, textBaseline } = target.getContext();
  assert.deepEqual([textAlign, textBaseline], ['right', 'middle']);
});

test('ticks of a linear axis are even and plain, with a step that is above a share of the range', () => {
  const ticksOf = (/** @type {number} */ nticks) => {
    const target = canvas();
    drawSketch(/** @type {any} */ (target), /** @type {any} */ (figure({ yaxis: { range: [-1, 1], nticks } })), SIZE);
    const texts = target.calls.filter(([name]) => name === 'fillText').map(([, text]) => text);
    return texts.slice(4, -1);
  };
  assert.deepEqual(ticksOf(5), ['−1', '−0.5', '0', '0.5', '1']);
  assert.deepEqual(ticksOf(4), ['−1', '0', '1']); // Plotly's step is not 2 / 4 = 0.5, but the next one
});

/** Create a figure of two matrices of 2 x 2 on one colour scale, the second one without a number in a cell. */
function matrices(heat = {}, coloraxis = {}) {
  const cells = { type: 'heatmap', x0: 1, dx: 1, y0: 1, dy: 1, ...heat };
  const [z, other] = [
    [
      [-1, 0],
      [0, 1],
    ],
    [
      [0.5, NaN],
      [-1, 1],
    ],
  ];
  const axis = { nticks: 3, showgrid: false, gridcolor: '#eee' };
  const below = (domain, more = {}) => ({ ...axis, domain, ...more });
  return {
    data: [
      { ...cells, z },
      { ...cells, z: other, xaxis: 'x2', yaxis: 'y2' },
    ],
    layout: {
      meta: {
        grid: {
          cells: [
            ['xaxis', 'yaxis'],
            ['xaxis2', 'yaxis2'],
          ],
        },
      },
      annotations: [
        {
          text: 'B HC',
          xref: 'x2 domain',
          x: 0,
          xanchor: 'left',
          yref: 'y2 domain',
          y: 1,
          yanchor: 'bottom',
          yshift: 3,
        },
        {
          text: 'two<br>lines',
          xref: 'paper',
          x: 0.5,
          xanchor: 'center',
          yref: 'paper',
          y: 0,
          yanchor: 'top',
          bgcolor: '#fff',
        },
      ],
      margin: { l: 40, r: 66, t: 26, b: 40 },
      font: { size: 12, family: 'serif', color: '#333' },
      coloraxis: {
        colorscale: [
          [0, '#ff0000'],
          [0.5, '#000000'],
          [1, '#0000ff'],
        ],
        cmin: -1,
        cmax: 1,
        colorbar: { thickness: 10, xpad: 12, nticks: 3, tickfont: { size: 11 } },
        ...coloraxis,
      },
      xaxis: below([0, 0.4]),
      yaxis: { ...axis, autorange: 'reversed', title: { text: 'reading layer', standoff: 6 } },
      xaxis2: below([0.6, 1], { tickangle: -90 }),
      yaxis2: { ...axis, autorange: 'reversed', showticklabels: false },
    },
  };
}

/** Draw a figure, and return its plots with the recorded calls of a kind. */
function draw(filled, name) {
  const target = canvas();
  const areas = drawSketch(/** @type {any} */ (target), /** @type {any} */ (filled), SIZE);
  return { areas, calls: target.calls.filter(([call]) => call === name).map(([, ...values]) => values) };
}

test('cells have the colours of their numbers, rows downwards, and none without a number', () => {
  const { areas, calls } = draw(matrices(), 'drawImage');
  const colors = calls.map(([{ data }]) => [0, 4, 8, 12].map((at) => [...data.slice(at, at + 4)]));
  const [red, black, blue] = [
    [255, 0, 0, 255],
    [0, 0, 0, 255],
    [0, 0, 255, 255],
  ];
  assert.deepEqual(colors, [
    [red, black, black, blue],
    [[0, 0, 128, 255], [0, 0, 0, 0], red, blue],
  ]);
  for (const [index, { left, top, width, height }] of areas.entries())
    assert.deepEqual(calls[index].slice(1), [left, top, Math.round(width), Math.round(height)]);
  assert.deepEqual(
    areas.map(({ x, y }) => [x, y]),
    [
      ['xaxis', 'yaxis'],
      ['xaxis2', 'yaxis2'],
    ],
  );
});

test('rows that grow upwards are drawn upwards', () => {
  const filled = matrices();
  Object.assign(filled.layout.yaxis, { autorange: false, range: [0.5, 2.5] });
  const [[{ data }]] = draw(filled, 'drawImage').calls;
  assert.deepEqual([...data.slice(8, 11)], [255, 0, 0]);
});

test('a scale without both ends is that of all numbers, as in Plotly', () => {
  const filled = matrices({}, { cmax: undefined });
  filled.data[1].z[1][1] = 3;
  const [, [{ data }]] = draw(filled, 'drawImage').calls;
  assert.deepEqual([...data.slice(8, 11), ...data.slice(12, 15)], [255, 0, 0, 0, 0, 255]);
});

test('a colour bar takes its room from the plots, and has its numbers at the right', () => {
  const [bar, bare] = [{}, { showscale: false }].map((scale) => {
    const filled = matrices({}, scale);
    filled.layout.margin.r = 20;
    return draw(filled, 'fillText');
  });
  const rightOf = ([, { left, width }]) => left + width;
  assert.equal(rightOf(bare.areas), 280);
  // As in Plotly: 12 + 10 + 12 px for the bar, 14 for "−1", 12 free; the bar begins at 1.02 of the width.
  assert.equal(rightOf(bar.areas), 300 - Math.round((60 + 0.02 * 260) / 1.02));
  assert.deepEqual(
    bar.calls.slice(0, 3).map(([text, , y]) => [text, y]),
    [
      ['−1', 110],
      ['0', 68],
      ['1', 26],
    ],
  );
});

test('gaps between cells are blank, and numbers are in the middle of cells in a legible colour', () => {
  const filled = matrices({ xgap: 2, ygap: 2, texttemplate: '%{z:.2f}' });
  const blank = draw(filled, 'clearRect').calls;
  const { areas, calls } = draw(filled, 'fillText');
  const [{ left, top, width }] = areas;
  assert.deepEqual(blank[2], [left + Math.round(width / 2) - 1, top - 2, 2, 88]);
  const numbers = calls.filter(([text]) => /\d\.\d/.test(text));
  assert.deepEqual(
    numbers.slice(0, 4).map(([text]) => text),
    ['−1.00', '0.00', '0.00', '1.00'],
  );
  assert.ok(Math.abs(numbers[0][1] - (left + width / 4)) < 1e-9);
});

test('notes may have lines and a ground, titles are turned, and so are numbers of narrow columns', () => {
  const { calls } = draw(matrices(), 'fillText');
  const texts = calls.map(([text]) => text);
  assert.deepEqual(texts.slice(-2), ['two', 'lines']);
  assert.ok(Math.abs(calls.at(-1)[2] - calls.at(-2)[2] - 1.3 * 12) < 1e-9);
  assert.ok(texts.includes('reading layer'));
  assert.equal(draw(matrices(), 'rotate').calls.length, 3); // the title, and the numbers 1 and 2 of the second matrix
});

test('an axis without a range has that of its curves, and is longer where units are equally long', () => {
  const yaxis = { range: [-1, 1], nticks: 5 };
  const [tight] = draw(figure({ xaxis: { gridcolor: '#eee' } }), 'ellipse').areas;
  assert.deepEqual([tight.toX(1), tight.toX(3)], [50, 250]);
  const shapes = [{ type: 'circle', x0: 1, x1: 3, y0: -1, y1: 1, line: { width: 1, color: '#777' } }];
  const equal = draw(figure({ xaxis: { gridcolor: '#eee', scaleanchor: 'y' }, yaxis, shapes }), 'ellipse');
  assert.deepEqual(equal.calls[0].slice(0, 4), [150, 60, 50, 50]); // a circle
  const high = { ...SIZE, height: 350 };
  const target = canvas();
  drawSketch(
    /** @type {any} */ (target),
    /** @type {any} */ (figure({ xaxis: { scaleanchor: 'y' }, yaxis, shapes })),
    high,
  );
  const [[, ...circle]] = target.calls.filter(([name]) => name === 'ellipse');
  assert.deepEqual(circle.slice(0, 4), [150, 160, 99.5, 99.5]); // half of the line is in the plot
});

test('dots keep the distance from the ends of an axis that Plotly keeps', () => {
  const dots = { type: 'scatter', mode: 'lines+markers', line: { width: 2, color: '#000' }, marker: { size: 8 } };
  const spokes = { ...figure({ xaxis: {} }), data: [{ ...dots, x: [0, 2, null, 0, -1], y: [0, 1, null, 0, -1] }] };
  assert.ok(canSketch(/** @type {any} */ (spokes)));
  const target = canvas();
  const [area] = drawSketch(/** @type {any} */ (target), /** @type {any} */ (spokes), SIZE);
  assert.deepEqual([area.toX(-1), area.toX(2)], [50 + 15, 250 - 15]); // 5 % of 200 px and 8 / 1.6 px
  assert.equal(target.calls.filter(([name]) => name === 'arc').length, 4);
});

test('a line connects points across layers without a value only where the figure says so', () => {
  const tail = (/** @type {boolean} */ connectgaps) => {
    const some = figure();
    Object.assign(some.data[2], { connectgaps });
    return draw(some, 'lineTo').calls.length;
  };
  assert.equal(tail(true) - tail(false), 1);
});

test('axes without a range, rectangles, dots alone, uneven cells and marked-up text are left to Plotly', () => {
  assert.ok(canSketch(/** @type {any} */ (figure())));
  assert.ok(canSketch(/** @type {any} */ (matrices())));
  assert.ok(canSketch(/** @type {any} */ (figure({ annotations: [{ text: 'B: a note<br>here', bgcolor: '#fff' }] }))));
  assert.ok(canSketch(/** @type {any} */ (figure({ shapes: [{ type: 'circle', y0: -1, y1: 1 }] }))));
  assert.ok(canSketch(/** @type {any} */ (figure({ xaxis: {} }))));
  assert.ok(!canSketch(/** @type {any} */ (figure({ yaxis: {} }))));
  assert.ok(!canSketch(/** @type {any} */ (figure({ shapes: [{ type: 'rect', y0: -1, y1: 1 }] }))));
  assert.ok(!canSketch(/** @type {any} */ ({ ...figure(), data: [{ type: 'scatter', mode: 'markers' }] })));
  assert.ok(!canSketch(/** @type {any} */ (figure({ annotations: [{ text: 'No <b>run</b> here' }] }))));
  for (const places of [{ x: [1, 2] }, { y: [1, 2] }]) assert.ok(!canSketch(/** @type {any} */ (matrices(places))));
});
