/** Words on a figure: labels at the ends of lines and at matrices, and where a curve is lost. As in `labels.py`. */

import { range, sayStatus } from './numbers.js';

/** @typedef {import('../../types').FigureRules} FigureRules */

const ROUNDING = 1e-9;

/**
 * Move places between 0 and `top` apart until neighbours keep the gap, in their order, and none lies on what is taken.
 * @param {number[]} places
 * @param {number} gap
 * @param {number} [top]
 * @param {[number, number][]} [taken] from where to where something else stands
 */
export function spread(places, gap, top = 1, taken = []) {
  const order = places.map((_, index) => index).sort((a, b) => places[a] - places[b] || b - a);
  const moved = [...places];
  let floor = 0;
  for (const index of order) {
    moved[index] = clear(Math.max(moved[index], floor), gap, taken, 1);
    floor = moved[index] + gap;
  }
  let ceiling = top;
  for (const index of order.reverse()) {
    moved[index] = clear(Math.min(moved[index], ceiling), gap, taken, -1);
    ceiling = moved[index] - gap;
  }
  return moved;
}

/** The next free place up (1) or down (-1). @param {number} place @param {number} gap @param {[number, number][]} taken @param {1 | -1} way */
function clear(place, gap, taken, way) {
  const met = [...taken].sort((a, b) => (way > 0 ? a[0] - b[0] : b[1] - a[1]));
  return met.reduce(
    (at, [from, to]) => (at + gap <= from + ROUNDING || at >= to ? at : way > 0 ? to : from - gap),
    place,
  );
}

/**
 * A label right of every line's end, none over another.
 * @param {{place: number, text: string, color: string}[]} ends
 * @param {boolean} narrow
 * @param {FigureRules} rules
 */
export function endLabels(ends, narrow, { label_gap }) {
  const places = spread(
    ends.map((end) => end.place),
    label_gap,
  );
  return ends.map((end, index) => ({
    xref: 'x domain',
    x: 1,
    xanchor: 'left',
    xshift: 6,
    yref: 'y domain',
    y: places[index],
    yanchor: 'middle',
    showarrow: false,
    text: narrow ? shorten(end.text) : end.text,
    font: { color: end.color, size: 12 },
  }));
}

/**
 * A name in so many letters: without the folders before it where it is a path, which has no spaces, or with the middle of its last part left out, so that both ends tell which it is.
 * @param {string} name
 * @param {number} most
 */
export function shortenName(name, most) {
  if (Array.from(name).length <= most) return name;
  const last = Array.from(name.includes(' ') ? name : name.slice(name.lastIndexOf('/', name.length - 2) + 1));
  if (last.length + 2 <= most) return `…/${last.join('')}`;
  if (last.length <= most) return last.join('');
  const tail = Math.floor((most - 1) / 2);
  return `${last.slice(0, most - 1 - tail).join('')}…${last.slice(last.length - tail).join('')}`;
}

/** `B` for `B HC`, `B nan` for `B HC: nan`. @param {string} text */
function shorten(text) {
  const [name, what] = text.split(': ');
  return [name.split(' ')[0], what].filter(Boolean).join(' ');
}

/**
 * Where a curve is lost for want of a number: the point next to the loss, whether it ends there, what happened.
 * @param {(number | null)[]} drawn
 * @param {Map<number, string> | undefined} status
 * @param {'layer' | 'step'} [unit] what the points are
 * @param {number[]} [numbers] how they are counted; without them from 1
 * @returns {{point: number | null, ends: boolean, text: string} | null}
 */
export function findLost(drawn, status, unit = 'layer', numbers) {
  const count = (/** @type {number} */ place) => numbers?.[place] ?? place + 1;
  const lost = [...(status?.keys() ?? [])].filter((place) => drawn[place] === null).sort((a, b) => a - b);
  if (!status || lost.length === 0) return null;
  const first = lost[0];
  const known = drawn.flatMap((value, index) => (value === null ? [] : [index]));
  if (known.length === 0) return { point: null, ends: true, text: sayStatus(String(status.get(first))) };
  if (first > known[0]) {
    const point = Math.max(...known.filter((index) => index < first));
    return { point, ends: true, text: `${sayStatus(String(status.get(first)))} at ${unit} ${count(first)}` };
  }
  const last = Math.max(...lost.filter((index) => index < known[0]));
  return { point: known[0], ends: false, text: `${sayStatus(String(status.get(last)))} up to ${unit} ${count(last)}` };
}

/**
 * A cross at each point next to a loss, with what happened, none over another.
 * @param {{point: number, x: number, share: number, text: string, middle: number, color: string}[]} losses `x` is where the point lies on the
 *   axis, `share` its height in the plot, `middle` the point in the middle of it
 * @param {[number, number]} span of the axis
 * @param {boolean} narrow
 * @param {FigureRules} rules
 */
export function lostLabels(losses, [low, high], narrow, { label_gap, high_share }) {
  const isRight = losses.map(({ point, middle }) => point > middle);
  // Left of the cross the curve comes from below, so that a label to the right of a high one stands below it.
  const centres = losses.map(
    ({ share }, index) => share + (share > high_share && !isRight[index] ? -label_gap : label_gap) / 2,
  );
  const places = spread(centres, label_gap);
  return losses.map(({ x, text, color }, index) => {
    const said = narrow ? shorten(text) : text;
    return {
      xref: 'x',
      x,
      xanchor: isRight[index] ? 'right' : 'left',
      yref: 'y',
      y: low + places[index] * (high - low),
      yanchor: 'middle',
      showarrow: false,
      text: isRight[index] ? `${said} ✕` : `✕ ${said}`,
      font: { color, size: 12 },
    };
  });
}

/**
 * A stretch of a line that words may stand beside: its first point, and between which heights of the plot the line lies there, and its run's
 * own line. @typedef {{point: number, line: [number, number], own: [number, number] | null}} Stretch
 */

/**
 * Where the words of a line may stand that begins apart from its run's own line: stretches from its beginning on; none where it begins there.
 * @param {(number | null)[]} drawn
 * @param {(number | null)[] | undefined} beside its run's own line
 * @param {[number, number]} span of the axis
 * @param {FigureRules} rules
 * @returns {Stretch[]}
 */
export function findStretches(drawn, beside, [low, high], { label_gap, start_stretch, start_share, start_places }) {
  const known = drawn.flatMap((value, point) => (value === null ? [] : [point]));
  if (known.length === 0) return [];
  const toShare = (/** @type {number} */ value) => (value - low) / (high - low);
  const [first] = known;
  const other = beside?.[first] ?? null;
  if (other !== null && Math.abs(toShare(Number(drawn[first])) - toShare(other)) < label_gap) return [];
  const length = Math.max(2, Math.floor(start_stretch * known.length));
  const step = Math.max(1, Math.floor((start_share * known.length) / start_places));
  return range(0, start_places - 1)
    .map((place) => known.slice(place * step, place * step + length))
    .filter((points) => points.length === length)
    .map((points) => ({
      point: points[0],
      line: /** @type {[number, number]} */ (toEnds(drawn, points)),
      own: toEnds(beside, points),
    }));

  /** @param {(number | null)[] | undefined} values @param {number[]} points @returns {[number, number] | null} */
  function toEnds(values, points) {
    const shares = points.flatMap((point) => values?.[point] ?? []).map(toShare);
    return shares.length > 0 ? [Math.min(...shares), Math.max(...shares)] : null;
  }
}

/**
 * Words near the beginnings of lines, none over another nor on a tick's grid line; lines that lie on each other share theirs.
 * @param {{x: (number | null)[], stretches: Stretch[], name: string, word: string, color: string}[]} starts
 * @param {number[]} ticks the heights of the axis's ticks, as far as they are known
 * @param {[number, number]} span of the axis
 * @param {boolean} narrow
 * @param {FigureRules} rules
 */
export function startLabels(starts, ticks, [low, high], narrow, rules) {
  /** @type {[number, number][]} */
  const taken = ticks.map((tick) => [(tick - low) / (high - low), rules.start_away * rules.label_gap]);
  return joinStarts(starts, rules).map(({ x, names, word, color, stretches }) => {
    const { point, place } = placeStart(stretches, taken, rules);
    taken.push([place, rules.label_gap]);
    return {
      xref: 'x',
      x: x[point],
      xanchor: 'left',
      yref: 'y',
      y: low + place * (high - low),
      yanchor: 'middle',
      showarrow: false,
      text: `${(narrow ? names.map(shorten) : names).join(', ')} ${word}`,
      font: { color, size: 12 },
    };
  });
}

/** Lines that lie on each other as one, from the highest down. @param {Parameters<typeof startLabels>[0]} starts @param {FigureRules} rules */
function joinStarts(starts, { start_alike }) {
  /** @type {(Omit<typeof starts[0], 'name'> & {names: string[]})[]} */
  const joined = [];
  for (const { name, ...start } of starts) {
    const isAlike = (/** @type {{stretches: Stretch[]}} */ { stretches: [{ line }] }) =>
      line.every((end, index) => Math.abs(end - start.stretches[0].line[index]) < start_alike);
    const same = joined.find(isAlike);
    if (same) same.names.push(name);
    else joined.push({ ...start, names: [name] });
  }
  return joined.sort((a, b) => b.stretches[0].line[1] - a.stretches[0].line[1]);
}

/** Over the first stretch that has room, or else under the beginning. @param {Stretch[]} stretches @param {[number, number][]} taken heights, and how far from them is free @param {FigureRules} rules */
function placeStart(stretches, taken, { label_gap, start_away }) {
  const half = label_gap / 2;
  for (const { point, line, own } of stretches) {
    const place = moveClear(line[1] + start_away * label_gap, taken, 1);
    const isClear = own === null || own[1] < place - half || own[0] > place + half;
    if (isClear && place + half <= 1 + ROUNDING) return { point, place };
  }
  const [{ point, line }] = stretches;
  return { point, place: Math.max(moveClear(line[0] - start_away * label_gap, taken, -1), 0) };
}

/** The next free height up (1) or down (-1). @param {number} place @param {[number, number][]} taken @param {1 | -1} way */
function moveClear(place, taken, way) {
  const met = [...taken].sort(([one], [other]) => way * (one - other));
  return met.reduce((at, [other, away]) => (Math.abs(at - other) < away - ROUNDING ? other + way * away : at), place);
}

/** A sentence at the foot of a figure that has something to show beside it. @param {string} text @param {string} color @param {string} ground */
export function footNote(text, color, ground) {
  const foot = { x: 0.5, y: 0, xanchor: 'center', yanchor: 'bottom', yshift: 4 };
  return {
    xref: 'paper',
    yref: 'paper',
    ...foot,
    showarrow: false,
    text,
    bgcolor: ground,
    borderpad: 3,
    font: { color, size: 12 },
  };
}

/** Why there is no number, where the word alone says too little. @param {string} status */
export function formatStatus(status) {
  return status === 'constant' ? 'constant over samples' : sayStatus(status);
}

/**
 * Which layers of a matrix have no numbers.
 * @param {number[]} lost rows from 0, in their order
 * @param {number} lastKnown the last row that has numbers, -1 for none
 */
export function formatRows(lost, lastKnown) {
  const [first, last] = [lost[0] + 1, lost[lost.length - 1] + 1];
  if (lastKnown < last - 1)
    return lastKnown < first - 1 ? `from layer ${first} on` : `in ${lost.length} layers from ${first} on`;
  if (last - first + 1 > lost.length) return `in ${lost.length} of the layers ${first}–${last}`;
  if (first === 1 && last > 1) return `up to layer ${last}`;
  return first === last ? `at layer ${first}` : `in layers ${first}–${last}`;
}

/** A run's label above its matrix. @param {string} text @param {string} x @param {string} y @param {string} color */
export function cellLabel(text, x, y, color) {
  return {
    xref: `${x} domain`,
    x: 0,
    xanchor: 'left',
    yref: `${y} domain`,
    y: 1,
    yanchor: 'bottom',
    yshift: 3,
    showarrow: false,
    text,
    font: { color, size: 12 },
  };
}

/** A remark on a matrix, at the foot of it, whatever the colours there are. @param {string} text @param {string} x @param {string} y @param {string} color @param {string} ground */
export function cellNote(text, x, y, color, ground) {
  return {
    xref: `${x} domain`,
    x: 0.5,
    xanchor: 'center',
    yref: `${y} domain`,
    y: 0.04,
    yanchor: 'bottom',
    showarrow: false,
    bgcolor: ground,
    borderpad: 3,
    text,
    font: { color, size: 12 },
  };
}

/** A sentence in the middle of an empty figure. @param {string} text @param {string} color */
export function note(text, color) {
  const middle = { x: 0.5, y: 0.5, xanchor: 'center', yanchor: 'middle' };
  return { xref: 'paper', yref: 'paper', ...middle, showarrow: false, text, font: { color } };
}
