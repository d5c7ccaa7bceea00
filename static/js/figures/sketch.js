/**
 * Draws curves on a canvas during a drag, and new ones before Plotly does: Plotly takes four frames. Scales, fonts, colours and
 * positions are those of the filled figure, so that nothing jumps when Plotly draws it afterwards.
 */

import { inclusiveRange, niceStep } from '../data/numbers.js';

/** @typedef {import('../../types').Figure} Figure @typedef {import('../../types').Trace} Trace @typedef {import('./plot.js').Area} Area */

const TICK_GAP = { below: 4, left: 1 }; // from the axis to its numbers
const NOTE_PAD = { left: 2, right: -2, turned: 2 }; // as in Plotly's annotations
const TITLE_GAP = 12; // from the bottom
const SUPERSCRIPT = { size: 0.7, rise: 0.42 };
const WIDTHS = /** @type {Record<string, number[]>} */ ({ solid: [], dot: [1, 1], dash: [3, 3] }); // in line widths

/** Return whether a figure has only curves, horizontal lines and plain text, on axes of ranges that Plotly does not change. @param {Figure} figure filled */
export function canSketch({ data, layout }) {
  const isPlain = (/** @type {any} */ { text, bgcolor }) => !text.includes('<') && !bgcolor;
  const hasRanges = Boolean(layout.xaxis?.range && layout.yaxis?.range && !layout.xaxis.scaleanchor);
  const isRule = (/** @type {any} */ { type, y0, y1 }) => type === 'line' && y0 === y1;
  return (
    hasRanges &&
    !layout.meta.grid &&
    data.every((trace) => trace.type === 'scatter') &&
    (layout.shapes ?? []).every(isRule) &&
    layout.annotations.every(isPlain)
  );
}

/**
 * Draw a filled figure, and return the position of its plot.
 * @param {HTMLCanvasElement} canvas
 * @param {Figure} figure
 * @param {{width: number, height: number, magnified: number}} size
 * @returns {Area[]}
 */
export function drawSketch(canvas, figure, { width, height, magnified }) {
  const scale = magnified * devicePixelRatio;
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  const [wide, high] = [Math.round(width * scale), Math.round(height * scale)];
  // Setting a size forces a layout, even to the same value.
  if (canvas.width !== wide || canvas.height !== high) {
    Object.assign(canvas, { width: wide, height: high });
    canvas.style.setProperty('width', `${width * magnified}px`);
  }
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  const { layout } = figure;
  pen.clearRect(0, 0, width, height);
  const area = toPlotArea(layout, width, height);
  drawAxes(pen, layout, area, height);
  for (const shape of layout.shapes ?? []) drawRule(pen, shape, area);
  pen.save();
  pen.beginPath();
  pen.rect(area.left, area.top, area.width, area.height);
  pen.clip();
  const visible = figure.data.filter((trace) => trace.visible !== false);
  for (const [index, trace] of visible.entries()) {
    if (trace.fill === 'tonexty') fillBetween(pen, visible[index - 1], trace, area);
    if (trace.line.width !== 0) drawLine(pen, trace, area);
  }
  pen.restore();
  for (const note of layout.annotations) drawNote(pen, note, layout, area);
  return [area];
}

/** Compute the position of the plot inside a figure, in px. @param {Record<string, any>} layout @param {number} width @param {number} height @returns {Area} */
function toPlotArea({ margin, xaxis, yaxis }, width, height) {
  const area = {
    left: margin.l,
    top: margin.t,
    width: width - margin.l - margin.r,
    height: height - margin.t - margin.b,
  };
  const share = (/** @type {number} */ value, /** @type {number[]} */ [low, high]) => (value - low) / (high - low);
  return {
    x: 'xaxis',
    y: 'yaxis',
    ...area,
    toX: (value) => area.left + area.width * share(value, xaxis.range),
    toY: (value) => area.top + area.height * (1 - share(value, yaxis.range)),
  };
}

/** Draw axes, ticks and title. @param {CanvasRenderingContext2D} pen @param {Record<string, any>} layout @param {Area} area @param {number} height */
function drawAxes(pen, { xaxis, yaxis, font }, area, height) {
  const [right, bottom] = [area.left + area.width, area.top + area.height];
  Object.assign(pen, { lineWidth: 1, strokeStyle: xaxis.gridcolor });
  setFont(pen, font);
  for (const { value, text } of ticksOf(xaxis)) {
    const x = area.toX(value);
    if (xaxis.showgrid !== false) strokeLine(pen, [x, area.top], [x, bottom]);
    writeText(pen, text, [x, bottom + TICK_GAP.below], 'center', 'top', font);
  }
  for (const { value, text } of ticksOf(yaxis)) {
    const y = area.toY(value);
    strokeLine(pen, [area.left, y], [right, y]);
    writeText(pen, text, [area.left - TICK_GAP.left, y], 'right', 'middle', font);
  }
  const below = /** @type {[number, number]} */ ([area.left + area.width / 2, height - TITLE_GAP]);
  writeText(pen, xaxis.title?.text ?? '', below, 'center', 'middle', font);
}

/** Compute the ticks of an axis as Plotly draws them. @param {any} axis @returns {{value: number, text: string}[]} */
function ticksOf({ range: [low, high], tickmode, tickvals, ticktext, dtick, nticks }) {
  if (tickmode === 'array')
    return tickvals
      .map((/** @type {number} */ value, /** @type {number} */ index) => ({ value, text: ticktext[index] }))
      .filter((/** @type {{value: number}} */ { value }) => value >= low && value <= high);
  const step = dtick ?? niceStep((high - low) / nticks);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return inclusiveRange(Math.ceil(low / step), Math.floor(high / step)).map((index) => ({
    value: index * step,
    text: String(Number((index * step).toFixed(digits))).replace('-', '−'),
  }));
}

/** Draw a horizontal line across the plot, such as that at 1, on a canvas. @param {CanvasRenderingContext2D} pen @param {any} shape @param {Area} area */
function drawRule(pen, { y0, line }, area) {
  Object.assign(pen, { lineWidth: line.width, strokeStyle: line.color });
  strokeLine(pen, [area.left, area.toY(y0)], [area.left + area.width, area.toY(y0)]);
}

/** Draw a straight line between two points. @param {CanvasRenderingContext2D} pen @param {[number, number]} from @param {[number, number]} to */
function strokeLine(pen, from, to) {
  pen.beginPath();
  pen.moveTo(...from);
  pen.lineTo(...to);
  pen.stroke();
}

/** Draw the curve of a trace on a canvas. @param {CanvasRenderingContext2D} pen @param {Trace} trace @param {Area} area */
function drawLine(pen, { x, y, line, opacity = 1 }, area) {
  const dash = WIDTHS[line.dash ?? 'solid']?.map((share) => share * line.width) ?? line.dash.split(',').map(parseFloat);
  pen.save();
  Object.assign(pen, { lineWidth: line.width, strokeStyle: line.color, globalAlpha: opacity, lineJoin: 'round' });
  pen.setLineDash(dash);
  pen.beginPath();
  y.forEach((/** @type {number | null} */ value, /** @type {number} */ index) => {
    if (value === null) return;
    const isJoined = index > 0 && y[index - 1] !== null;
    pen[isJoined ? 'lineTo' : 'moveTo'](area.toX(x[index]), area.toY(value));
  });
  pen.stroke();
  pen.restore();
}

/** Fill the area between two curves. @param {CanvasRenderingContext2D} pen @param {Trace} lower @param {Trace} upper @param {Area} area */
function fillBetween(pen, lower, upper, area) {
  const known = [...upper.y.keys()].filter((index) => upper.y[index] !== null && lower.y[index] !== null);
  const edges = [
    known.map((index) => [upper.x[index], upper.y[index]]),
    known.map((index) => [lower.x[index], lower.y[index]]),
  ];
  pen.beginPath();
  for (const [x, y] of [...edges[0], ...edges[1].reverse()]) pen.lineTo(area.toX(x), area.toY(y));
  pen.fillStyle = upper.fillcolor;
  pen.fill();
}

/** Draw an annotation of a figure on a canvas. @param {CanvasRenderingContext2D} pen @param {any} note an annotation @param {Record<string, any>} layout @param {Area} area */
function drawNote(pen, note, { font }, area) {
  const pad = /** @type {Record<string, number>} */ (NOTE_PAD)[note.textangle ? 'turned' : note.xanchor] ?? 0;
  const x = pad + (note.xref === 'x' ? area.toX(note.x) : area.left + area.width * note.x);
  const y = note.yref === 'y' ? area.toY(note.y) : area.top + area.height * (1 - note.y);
  const used = { ...font, ...note.font };
  setFont(pen, used);
  const baseline = /** @type {Record<string, CanvasTextBaseline>} */ ({
    top: 'top',
    middle: 'middle',
    bottom: 'bottom',
  });
  const at = /** @type {[number, number]} */ ([x + (note.xshift ?? 0), y - (note.yshift ?? 0)]);
  if (note.textangle) at[1] += NOTE_PAD.turned;
  if (!note.textangle) return writeText(pen, note.text, at, note.xanchor, baseline[note.yanchor], used);
  pen.save();
  pen.translate(...at);
  pen.rotate((note.textangle * Math.PI) / 180);
  writeText(pen, note.text, [0, 0], 'right', 'middle', used); // turned upwards, a text ends at its top
  pen.restore();
}

/** @typedef {{size: number, family: string, color: string}} Font */

/** Set font and colour of a canvas. @param {CanvasRenderingContext2D} pen @param {Font} font */
function setFont(pen, { size, family, color }) {
  pen.fillStyle = color;
  setSize(pen, size, family);
}

/** Set the font size of a canvas. Always writes the font in the same form, because browsers skip an unchanged font and compute styles for others. @param {CanvasRenderingContext2D} pen @param {number} size @param {string} family */
function setSize(pen, size, family) {
  pen.font = `${size}px ${family}`;
}

/** Write a text on a canvas, with an exponent if it has one, in the current font. @param {CanvasRenderingContext2D} pen @param {string} text @param {[number, number]} at @param {CanvasTextAlign} align @param {CanvasTextBaseline} baseline @param {Font} font */
function writeText(pen, text, [x, y], align, baseline, { size, family }) {
  const [, before, power] = text.match(/^(.*?)<sup>(.*)<\/sup>$/) ?? [text, text, ''];
  Object.assign(pen, { textAlign: align, textBaseline: baseline });
  if (!power) {
    pen.fillText(before, x, y);
    return;
  }
  setSize(pen, SUPERSCRIPT.size * size, family);
  const room = pen.measureText(power).width;
  pen.fillText(power, x, y - SUPERSCRIPT.rise * size); // right-aligned, like the labels of the vertical axis
  setSize(pen, size, family);
  pen.fillText(before, x - room, y);
}
