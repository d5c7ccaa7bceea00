/**
 * Draws curves and matrices on a canvas during a drag, and new ones before Plotly does: Plotly takes four frames. Scales, fonts, colours
 * and positions are those of the filled figure, so that nothing jumps when Plotly draws it afterwards.
 */

import { inclusiveRange, niceStep } from '../data/numbers.js';
import { cellRange, drawBar, drawCells, marginWithBar, toColors, writeCells } from './sketchcells.js';

/** @typedef {import('../../types').Figure} Figure @typedef {import('../../types').Trace} Trace @typedef {import('./plot.js').Area} Area */

const TICK_GAP = { below: 4, turned: 3, left: 1, right: 1 }; // from the axis to its numbers
/** Distance from the axis to below its numbers. @param {number} size of the numbers */
const depthBelow = (size) => 0.5 + Math.round(1.22 * size);
const LEAST_PX = { x: 80, y: 40 }; // between two ticks of an axis that does not say how many
const NOTE_PAD = { left: 2, right: -2, turned: 2 }; // as in Plotly's annotations
// Of Plotly: from the top of capitals to the baseline, from their middle to the baseline, and from line to line, as shares of the size.
const SHIFT = { cap: 0.7, middle: 0.35, line: 1.3 };
const SUPERSCRIPT = { size: 0.7, rise: 0.42 };
const DOT_PAD = { of_axis: 0.05, part: 1.6 }; // of Plotly: from the ends of the axis to the middle of a dot
const LINE_MODES = ['lines', 'lines+markers'];
const WIDTHS = /** @type {Record<string, number[]>} */ ({ solid: [], dot: [1, 1], dash: [3, 3] }); // in line widths

/** Return whether a figure has only curves with or without dots, matrices of even cells, horizontal lines, circles and plain text. @param {Figure} figure filled */
export function canSketch({ data, layout }) {
  const isKnown = (/** @type {Trace} */ { type, mode = 'lines', x, y }) =>
    (type === 'scatter' && LINE_MODES.includes(mode)) || (type === 'heatmap' && x === undefined && y === undefined);
  const hasRanges = ([x, y] = ['', '']) =>
    isCells(data, x) || (layout[y].range && (layout[x].range || tracesOn(data, x).some(({ x: places }) => places)));
  const isShape = (/** @type {any} */ { type, y0, y1 }) => type === 'circle' || (type === 'line' && y0 === y1);
  return (
    data.every(isKnown) &&
    pairsOf(layout).every(hasRanges) &&
    (layout.shapes ?? []).every(isShape) &&
    layout.annotations.every((/** @type {any} */ { text }) => !/<(?!br>)/.test(text))
  );
}

/** List the names of the visible pairs of axes. @param {Record<string, any>} layout @returns {[string, string][]} */
function pairsOf(layout) {
  const pairs = layout.meta.grid?.cells ?? [['xaxis', 'yaxis']];
  return pairs.filter((/** @type {string[]} */ [x]) => layout[x] && layout[x].visible !== false);
}

/** Return the name in a layout of an axis of a trace or note. @param {string} [id] such as x2, or "x2 domain" */
const nameOf = (id = 'x') => id.replace(' domain', '').replace(/^[xy]/, '$&axis');

/** List the visible traces on a horizontal axis. @param {Trace[]} data @param {string} x */
const tracesOn = (data, x) => data.filter((trace) => trace.visible !== false && nameOf(trace.xaxis) === x);

/** Return whether there are matrices on a horizontal axis, so that its range is that of their cells. @param {Trace[]} data @param {string} x */
const isCells = (data, x) => tracesOn(data, x).some(({ type }) => type === 'heatmap');

/**
 * Draw a filled figure, and return the positions of its plots.
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
  pen.clearRect(0, 0, width, height);
  const { data, layout } = figure;
  const colors = toColors(figure);
  const paper = drawPaper(pen, layout, colors, width, height);
  const plots = pairsOf(layout).map(([x, y]) => toPlot(figure, paper, x, y));
  for (const plot of plots) {
    drawAxes(pen, plot, layout.font);
    pen.save();
    pen.beginPath();
    pen.rect(plot.area.left, plot.area.top, plot.area.width, plot.area.height);
    pen.clip();
    for (const shape of layout.shapes ?? []) drawShape(pen, shape, plot.area);
    drawTraces(pen, tracesOn(data, plot.area.x), plot.area, colors, layout.font);
    pen.restore();
  }
  const areas = plots.map(({ area }) => area);
  for (const note of layout.annotations) drawNote(pen, note, layout.font, paper, areas);
  return areas;
}

/** Draw what is outside the plots, a colour bar if there is one, and return the position of all plots. @param {CanvasRenderingContext2D} pen @param {Record<string, any>} layout @param {import('./sketchcells.js').Colors | null} colors @param {number} width @param {number} height @returns {import('./sketchcells.js').Paper} */
function drawPaper(pen, layout, colors, width, height) {
  const { margin, font, coloraxis } = layout;
  const { l: left, t: top } = margin;
  const toPlace = (/** @type {number} */ right) => ({
    left,
    top,
    width: width - left - right,
    height: height - top - margin.b,
  });
  if (!colors || coloraxis.showscale === false) return toPlace(margin.r);
  const numbers = { ...font, ...coloraxis.colorbar.tickfont };
  const ticks = ticksOf({ ...coloraxis.colorbar, range: [colors.low, colors.high] });
  setFont(pen, numbers);
  const widths = ticks.map(({ text }) => measureText(pen, text, numbers));
  const paper = toPlace(marginWithBar(layout, Math.max(0, ...widths), width));
  const { x, toY } = drawBar(pen, colors, coloraxis.colorbar, paper);
  setFont(pen, numbers);
  for (const { value, text } of ticks) writeText(pen, text, [x, toY(value)], 'left', 'middle', numbers);
  return paper;
}

/** A plot: its position, and its axes with their ranges. @typedef {{area: Area, xaxis: any, yaxis: any}} Plot */

/** Compute the position of one plot of a figure. @param {Figure} figure @param {import('./sketchcells.js').Paper} paper @param {string} x name of its horizontal axis @param {string} y @returns {Plot} */
function toPlot({ data, layout }, paper, x, y) {
  const [[start, end], [low, high]] = [layout[x].domain ?? [0, 1], layout[y].domain ?? [0, 1]];
  const area = {
    left: paper.left + start * paper.width,
    top: paper.top + (1 - high) * paper.height,
    width: (end - start) * paper.width,
    height: (high - low) * paper.height,
  };
  const traces = tracesOn(data, x);
  const [xaxis, yaxis] = [
    toAxis(layout[x], traces, layout.shapes ?? [], 'x', area.width),
    toAxis(layout[y], traces, [], 'y', area.height),
  ];
  if (xaxis.scaleanchor) equalizeScales(xaxis, yaxis, area);
  const share = (/** @type {number} */ value, /** @type {number[]} */ [from, to]) => (value - from) / (to - from);
  const toX = (/** @type {number} */ value) => area.left + area.width * share(value, xaxis.range);
  const toY = (/** @type {number} */ value) => area.top + area.height * (1 - share(value, yaxis.range));
  return { area: { x, y, ...area, toX, toY }, xaxis, yaxis };
}

/** Return an axis with the range and number of ticks that Plotly chooses where the figure has none. @param {any} axis @param {Trace[]} traces @param {any[]} shapes @param {'x' | 'y'} letter @param {number} length_px */
function toAxis(axis, traces, shapes, letter, length_px) {
  const nticks = axis.nticks ?? Math.min(9, Math.max(4, length_px / LEAST_PX[letter])) + 1;
  if (axis.range) return { ...axis, nticks };
  const [first] = traces;
  const range = first.type === 'heatmap' ? cellRange(first, letter) : lineRange(traces, shapes, length_px);
  return { ...axis, nticks, range: axis.autorange === 'reversed' ? range.reverse() : range };
}

/**
 * Return the horizontal range of curves and circles: the shortest that keeps from both ends of the axis what Plotly keeps from them.
 * @param {Trace[]} traces
 * @param {any[]} shapes
 * @param {number} length_px
 * @returns {[number, number]}
 */
function lineRange(traces, shapes, length_px) {
  const extents = traces.map(({ x, marker }) => {
    const places = Array.from(x).filter((place) => place !== null);
    const pad_px = marker ? DOT_PAD.of_axis * length_px + marker.size / DOT_PAD.part : 0;
    return { low: Math.min(...places), high: Math.max(...places), pad_px };
  });
  for (const { type, x0, x1, line } of shapes)
    if (type === 'circle') extents.push({ low: x0, high: x1, pad_px: line.width / 2 });
  let best = { unit: 0, low: 0, high: 0 };
  for (const start of extents)
    for (const end of extents) {
      const unit = (end.high - start.low) / (length_px - start.pad_px - end.pad_px);
      if (unit > best.unit) best = { unit, low: start.low - unit * start.pad_px, high: end.high + unit * end.pad_px };
    }
  return best.unit > 0 ? [best.low, best.high] : [extents[0].low - 1, extents[0].high + 1];
}

/** Extend one of two axes at both ends, in place, so that a unit is as long on both. @param {{range: [number, number]}} xaxis @param {{range: [number, number]}} yaxis @param {{width: number, height: number}} area */
function equalizeScales(xaxis, yaxis, { width, height }) {
  const unit_px = Math.min(width / (xaxis.range[1] - xaxis.range[0]), height / (yaxis.range[1] - yaxis.range[0]));
  const extend = (/** @type {[number, number]} */ [low, high], /** @type {number} */ length_px) =>
    /** @type {[number, number]} */ ([-1, 1].map((side) => (low + high + (side * length_px) / unit_px) / 2));
  xaxis.range = extend(xaxis.range, width);
  yaxis.range = extend(yaxis.range, height);
}

/** Draw the traces of a plot. @param {CanvasRenderingContext2D} pen @param {Trace[]} visible @param {Area} area @param {import('./sketchcells.js').Colors | null} colors @param {Font} font */
function drawTraces(pen, visible, area, colors, font) {
  for (const [index, trace] of visible.entries()) {
    if (colors && trace.type === 'heatmap') {
      drawCells(pen, trace, area, colors);
      if (trace.texttemplate) writeCells(pen, trace, area, colors, font);
      continue;
    }
    if (trace.fill === 'tonexty') fillBetween(pen, visible[index - 1], trace, area);
    if (trace.line.width !== 0) drawLine(pen, trace, area);
    if (trace.mode === 'lines+markers') drawDots(pen, trace, area);
  }
}

/** Draw axes, ticks and titles. @param {CanvasRenderingContext2D} pen @param {Plot} plot @param {Font} font */
function drawAxes(pen, { area, xaxis, yaxis }, font) {
  const [right, bottom] = [area.left + area.width, area.top + area.height];
  Object.assign(pen, { lineWidth: 1, strokeStyle: xaxis.gridcolor });
  const below = { ...font, ...xaxis.tickfont };
  setFont(pen, below);
  let under = depthBelow(below.size);
  for (const { value, text } of ticksOf(xaxis)) {
    const x = area.toX(value);
    if (xaxis.showgrid !== false) strokeLine(pen, [x, area.top], [x, bottom]);
    if (xaxis.showticklabels === false) continue;
    if (xaxis.tickangle) {
      writeTurned(pen, text, [x, bottom + TICK_GAP.turned], xaxis.tickangle, below);
      under = Math.max(under, TICK_GAP.turned + measureText(pen, text, below));
    } else writeText(pen, text, [x, bottom + TICK_GAP.below], 'center', 'top', below);
  }
  drawTitle(pen, xaxis.title, [area.left + area.width / 2, bottom + under], font);
  const numbers = { ...font, ...yaxis.tickfont };
  setFont(pen, numbers);
  let depth = 0; // of the numbers left of the axis
  for (const { value, text } of ticksOf(yaxis)) {
    const y = area.toY(value);
    if (yaxis.showgrid !== false) strokeLine(pen, [area.left, y], [right, y]);
    if (yaxis.showticklabels === false) continue;
    if (yaxis.side === 'right') writeText(pen, text, [right + TICK_GAP.right, y], 'left', 'middle', numbers);
    else writeText(pen, text, [area.left - TICK_GAP.left, y], 'right', 'middle', numbers);
    depth = Math.max(depth, TICK_GAP.left + measureText(pen, text, numbers));
  }
  if (!yaxis.title) return;
  pen.save();
  pen.translate(area.left - depth, area.top + area.height / 2);
  pen.rotate(-Math.PI / 2);
  drawTitle(pen, yaxis.title, [0, 0], font, area.left - depth);
  pen.restore();
}

/**
 * Draw the title of an axis at the end of its numbers: below them, or turned left of them.
 * @param {CanvasRenderingContext2D} pen
 * @param {any} title
 * @param {[number, number]} at
 * @param {Font} font
 * @param {number} [room_px] left of the numbers, which a turned title stays within; default: the title is not turned
 */
function drawTitle(pen, title, [x, y], font, room_px) {
  if (!title?.text) return;
  const used = { ...font, ...title.font };
  const { standoff } = title;
  const first =
    room_px === undefined
      ? standoff + used.size * SHIFT.cap
      : -Math.min(standoff + used.size * SHIFT.middle, room_px - used.size);
  setFont(pen, used);
  for (const [index, line] of title.text.split('<br>').entries())
    writeText(pen, line, [x, y + first + index * SHIFT.line * used.size], 'center', 'alphabetic', used);
}

/** Compute the ticks of an axis as Plotly draws them. @param {any} axis @returns {{value: number, text: string}[]} */
function ticksOf({ range, tickmode, tickvals, ticktext, dtick, nticks }) {
  const [low, high] = [Math.min(...range), Math.max(...range)]; // numbers may grow downwards
  if (tickmode === 'array')
    return tickvals
      .map((/** @type {number} */ value, /** @type {number} */ index) => ({ value, text: ticktext[index] }))
      .filter((/** @type {{value: number}} */ { value }) => value >= low && value <= high);
  const step = dtick ?? niceStep(((high - low) / nticks) * (1 + 2e-9)); // Plotly's step is larger than that, never equal
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return inclusiveRange(Math.ceil(low / step), Math.floor(high / step)).map((index) => ({
    value: index * step,
    text: String(Number((index * step).toFixed(digits))).replace('-', '−'),
  }));
}

/** Draw a circle, or a horizontal line across the plot such as that at 1. @param {CanvasRenderingContext2D} pen @param {any} shape @param {Area} area */
function drawShape(pen, { type, x0, x1, y0, y1, line }, area) {
  Object.assign(pen, { lineWidth: line.width, strokeStyle: line.color });
  const y = area.toY(y0);
  if (type === 'line') return strokeLine(pen, [area.left, y], [area.left + area.width, y]);
  const [left, right, top] = [area.toX(x0), area.toX(x1), area.toY(y1)];
  pen.beginPath();
  pen.ellipse((left + right) / 2, (y + top) / 2, (right - left) / 2, (y - top) / 2, 0, 0, 2 * Math.PI);
  pen.stroke();
}

/** Draw a straight line between two points. @param {CanvasRenderingContext2D} pen @param {[number, number]} from @param {[number, number]} to */
function strokeLine(pen, from, to) {
  pen.beginPath();
  pen.moveTo(...from);
  pen.lineTo(...to);
  pen.stroke();
}

/** Draw the curve of a trace on a canvas. @param {CanvasRenderingContext2D} pen @param {Trace} trace @param {Area} area */
function drawLine(pen, { x, y, line, opacity = 1, connectgaps = false }, area) {
  const dash = WIDTHS[line.dash ?? 'solid']?.map((share) => share * line.width) ?? line.dash.split(',').map(parseFloat);
  pen.save();
  Object.assign(pen, { lineWidth: line.width, strokeStyle: line.color, globalAlpha: opacity, lineJoin: 'round' });
  pen.setLineDash(dash);
  pen.beginPath();
  let isJoined = false;
  y.forEach((/** @type {number | null} */ value, /** @type {number} */ index) => {
    if (value !== null) pen[isJoined ? 'lineTo' : 'moveTo'](area.toX(x[index]), area.toY(value));
    isJoined = value !== null || (isJoined && connectgaps);
  });
  pen.stroke();
  pen.restore();
}

/** Draw a dot at each point of a curve, in the colour of its line. @param {CanvasRenderingContext2D} pen @param {Trace} trace @param {Area} area */
function drawDots(pen, { x, y, line, marker, opacity = 1 }, area) {
  pen.save();
  Object.assign(pen, { fillStyle: line.color, globalAlpha: opacity });
  pen.beginPath();
  y.forEach((/** @type {number | null} */ value, /** @type {number} */ index) => {
    if (value === null) return;
    const [left, top] = [area.toX(x[index]), area.toY(value)];
    pen.moveTo(left, top);
    pen.arc(left, top, marker.size / 2, 0, 2 * Math.PI);
  });
  pen.fill();
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

/** Draw an annotation of a figure. @param {CanvasRenderingContext2D} pen @param {any} note @param {Font} font @param {import('./sketchcells.js').Paper} paper @param {Area[]} areas */
function drawNote(pen, note, font, paper, areas) {
  const pad = /** @type {Record<string, number>} */ (NOTE_PAD)[note.textangle ? 'turned' : note.xanchor] ?? 0;
  const placeOf = (/** @type {string} */ ref, /** @type {'x' | 'y'} */ letter) =>
    areas.find((area) => area[letter] === nameOf(ref));
  const [across, down] = [placeOf(note.xref, 'x') ?? paper, placeOf(note.yref, 'y') ?? paper];
  const isOfData = (/** @type {string} */ ref) => /^[xy]\d*$/.test(ref);
  const x = isOfData(note.xref) ? /** @type {Area} */ (across).toX(note.x) : across.left + across.width * note.x;
  const y = isOfData(note.yref) ? /** @type {Area} */ (down).toY(note.y) : down.top + down.height * (1 - note.y);
  const used = { ...font, ...note.font };
  setFont(pen, used);
  const at = /** @type {[number, number]} */ ([x + pad + (note.xshift ?? 0), y - (note.yshift ?? 0)]);
  if (!note.textangle) return writeLines(pen, note, at, used);
  writeTurned(pen, note.text, [at[0], at[1] + NOTE_PAD.turned], note.textangle, used);
}

/** Write a turned text in the current font; turned upwards, it ends at its top. @param {CanvasRenderingContext2D} pen @param {string} text @param {[number, number]} at @param {number} angle in degrees @param {Font} font */
function writeTurned(pen, text, at, angle, font) {
  pen.save();
  pen.translate(...at);
  pen.rotate((angle * Math.PI) / 180);
  writeText(pen, text, [0, 0], 'right', 'middle', font);
  pen.restore();
}

/** Write the lines of an annotation, on its ground if it has one. @param {CanvasRenderingContext2D} pen @param {any} note @param {[number, number]} at @param {Font} font */
function writeLines(pen, { text, xanchor, yanchor, bgcolor, borderpad = 1 }, [x, y], font) {
  const lines = text.split('<br>');
  const step = SHIFT.line * font.size;
  const [pad, height] = [borderpad + 1, lines.length * step];
  const top = { top: y + pad, middle: y - height / 2, bottom: y - pad - height }[
    /** @type {'top' | 'middle' | 'bottom'} */ (yanchor)
  ];
  if (bgcolor) {
    const width = Math.max(...lines.map((/** @type {string} */ line) => measureText(pen, line, font)));
    const left = { left: x, center: x - width / 2, right: x - width }[
      /** @type {'left' | 'center' | 'right'} */ (xanchor)
    ];
    pen.fillStyle = bgcolor;
    pen.fillRect(left - pad, top - pad, width + 2 * pad, height + 2 * pad);
    pen.fillStyle = font.color;
  }
  for (const [index, line] of lines.entries())
    writeText(pen, line, [x, top + (index + 0.5) * step], xanchor, 'middle', font);
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

/** Split a text into what is before its exponent, and the exponent. @param {string} text @returns {[string, string]} */
function splitPower(text) {
  const [, before, power] = text.match(/^(.*?)<sup>(.*)<\/sup>$/) ?? [text, text, ''];
  return [before, power];
}

/** Measure a text with its exponent, in the current font. @param {CanvasRenderingContext2D} pen @param {string} text @param {Font} font @returns {number} in px */
function measureText(pen, text, { size, family }) {
  const [before, power] = splitPower(text);
  const width = pen.measureText(before).width;
  if (!power) return width;
  setSize(pen, SUPERSCRIPT.size * size, family);
  const room = pen.measureText(power).width;
  setSize(pen, size, family);
  return width + room;
}

/** Write a text on a canvas, with an exponent if it has one, in the current font. @param {CanvasRenderingContext2D} pen @param {string} text @param {[number, number]} at @param {CanvasTextAlign} align 'right' or 'left' with an exponent @param {CanvasTextBaseline} baseline @param {Font} font */
function writeText(pen, text, [x, y], align, baseline, { size, family }) {
  const [before, power] = splitPower(text);
  Object.assign(pen, { textAlign: align, textBaseline: baseline });
  if (!power) {
    pen.fillText(before, x, y);
    return;
  }
  const width = pen.measureText(before).width;
  setSize(pen, SUPERSCRIPT.size * size, family);
  const room = pen.measureText(power).width;
  pen.fillText(power, align === 'right' ? x : x + width, y - SUPERSCRIPT.rise * size);
  setSize(pen, size, family);
  pen.fillText(before, align === 'right' ? x - room : x, y);
}
