/** Text on figures: labels at the ends of lines, above matrices, and where a curve stops. Figures over REST have Plotly's legend instead. */

import { statusText } from '../data/numbers.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('../../types').Figure} Figure */

/** Smallest distance of two labels as a share of the plot height, and the width of a letter in px. Templates of other sizes override both in `meta.labels`. */
export const LABELS = { gap: 0.085, letter_px: 7.2 };
const LEAST_LETTERS = 4; // of a shortened name
/** Above this share of the plot height a label has no room. */
const HIGH = 0.8;

/** Positions closer than this are equal: their lines cover each other. */
const SAME = 0.005;

/** Return the indexes of the positions of curve labels from lowest to highest; among equal positions the first is the highest. @param {number[]} places */
function sortIndexes(places) {
  const rising = places.map((_, index) => index).sort((a, b) => places[a] - places[b]);
  const bases = [...places];
  rising.forEach((index, at) => {
    const below = bases[rising[at - 1]];
    if (at > 0 && places[index] - below < SAME) bases[index] = below;
  });
  return rising.sort((a, b) => bases[a] - bases[b] || b - a);
}

/**
 * Move positions between 0 and 1 apart until neighbours keep the gap; the order stays.
 * @param {number[]} places
 * @param {number} gap
 */
export function spreadPositions(places, gap) {
  const order = sortIndexes(places);
  const moved = [...places];
  let floor = 0;
  for (const index of order) {
    moved[index] = Math.max(moved[index], floor);
    floor = moved[index] + gap;
  }
  let ceiling = 1;
  for (const index of order.reverse()) {
    moved[index] = Math.min(moved[index], ceiling);
    ceiling = moved[index] - gap;
  }
  return moved;
}

/** Remove the letters of labels, `HC` for `B HC`, if the remaining names differ. @param {string[]} labels */
export function toNames(labels) {
  const names = labels.map((label) => label.replace(/^[A-Z] /, ''));
  return new Set(names).size === names.length ? names : labels;
}

/**
 * Place a label right of each line's end, without overlap.
 * @param {{place: number, text: string, color: string}[]} ends
 * @param {boolean} narrow
 * @param {number} gap
 */
export function endLabels(ends, narrow, gap) {
  const places = spreadPositions(
    ends.map((end) => end.place),
    gap,
  );
  return ends.map(({ text, color }, index) => ({
    ...toNote(narrow ? shortenRunLabel(text) : text, color),
    ...within('x', 'y'),
    ...{ x: 1, xanchor: 'left', xshift: 6, y: places[index], yanchor: 'middle' },
  }));
}

/** Create a text on a figure, to be placed. @param {string} text @param {string} color */
const toNote = (text, color) => ({ showarrow: false, text, font: { color, size: 12 } });

/** Return where the position of a text counts from 0 to 1: within a plot. @param {string} x its axis @param {string} y */
const within = (x, y) => ({ xref: `${x} domain`, yref: `${y} domain` });

/**
 * Shorten a name to so many characters: drop the folders of a path (a name without spaces), then the middle of its last part, so that both ends stay readable.
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

/** Return the names of runs so that each fits: without its letter, else its letter and first word or the letter alone, or shortened in the middle where it is one word. @param {string[]} labels @param {(text: string) => boolean} fits @returns {string[]} */
export function fitNames(labels, fits) {
  const names = toNames(labels);
  const short = labels.map((label, run) => (fits(names[run]) ? names[run] : shortenLabel(label, fits)));
  if (new Set(short).size === short.length) return short;
  return short.map((name, run) => (name === names[run] ? name : splitLabel(labels[run]).letter || labels[run]));
}

/** Shorten the label of a run that does not fit. @param {string} label @param {(text: string) => boolean} fits */
function shortenLabel(label, fits) {
  const { letter, name } = splitLabel(label);
  if (letter && name.includes(' ')) {
    const first = `${letter} ${name.split(' ')[0]}`;
    return fits(first) ? first : letter;
  }
  for (let most = name.length - 1; most >= LEAST_LETTERS; most--) {
    const short = shortenName(name, most);
    if (fits(short)) return short;
  }
  return letter || name;
}

/** Split a label into letter and name; the letter is empty if there is none. @param {string} label */
function splitLabel(label) {
  const [, letter = '', name = label] = /^([A-Z]) (.*)$/.exec(label) ?? [];
  return { letter, name };
}

/** Shorten the label of a run to its letter and status: `B HC` to `B`, `B HC: nan` to `B nan`. @param {string} text */
function shortenRunLabel(text) {
  const [name, reason] = text.split(': ');
  return [name.split(' ')[0], reason].filter(Boolean).join(' ');
}

/**
 * Find where a curve has no numbers: the adjacent point, whether the curve ends there, and the reason.
 * @param {(number | null)[]} drawn
 * @param {Map<number, string> | undefined} status
 * @param {'layer' | 'step'} [unit] of the points; default layer
 * @param {number[]} [numbers] of the points; default 1, 2, …
 * @param {Record<string, string>} [words] texts in place of statuses
 * @returns {{point: number | null, ends: boolean, text: string} | null}
 */
export function findLost(drawn, status, unit = 'layer', numbers, words = {}) {
  const reasonOf = (/** @type {number} */ index) => {
    const own = String(status?.get(index));
    return words[own] ?? statusText(own);
  };
  const count = (/** @type {number} */ index) => numbers?.[index] ?? index + 1;
  const lost = [...(status?.keys() ?? [])].filter((index) => drawn[index] === null).sort((a, b) => a - b);
  if (!status || lost.length === 0) return null;
  const first = lost[0];
  const known = drawn.flatMap((value, index) => (value === null ? [] : [index]));
  if (known.length === 0) return { point: null, ends: true, text: reasonOf(first) };
  if (first > known[0]) {
    const point = Math.max(...known.filter((index) => index < first));
    return { point, ends: true, text: `${reasonOf(first)} at ${unit} ${count(first)}` };
  }
  const last = Math.max(...lost.filter((index) => index < known[0]));
  return { point: known[0], ends: false, text: `${reasonOf(last)} up to ${unit} ${count(last)}` };
}

/**
 * Place a cross with the reason at each point next to missing numbers, without overlap.
 * @param {{point: number, x: number, share: number, text: string, middle: number, color: string}[]} losses `x` is the position of the point on the
 *   axis, `share` its height in the plot, `middle` the point in the middle of the axis
 * @param {[number, number]} span of the axis
 * @param {boolean} narrow
 * @param {number} gap
 */
export function lostLabels(losses, [low, high], narrow, gap) {
  const isRight = losses.map(({ point, middle }) => point > middle);
  // Left of a cross the curve comes from below, so a label right of a high cross goes below it.
  const centres = losses.map(({ share }, index) => share + (share > HIGH && !isRight[index] ? -gap : gap) / 2);
  const places = spreadPositions(centres, gap);
  return losses.map(({ x, text, color }, index) => {
    const label = narrow ? shortenRunLabel(text) : text;
    return {
      ...toNote(isRight[index] ? `${label} ✕` : `✕ ${label}`, color),
      ...{ xref: 'x', x, xanchor: isRight[index] ? 'right' : 'left' },
      ...{ yref: 'y', y: low + places[index] * (high - low), yanchor: 'middle' },
    };
  });
}

const NOTE_LINE_PX = 16;

/** Write a note below the axis of a figure that shows data, and make room for it. @param {Record<string, any>} layout @param {string} text */
export function writeBelow(layout, text) {
  const lines = text.split('<br>').length;
  const note = footNote(text, layout.meta.muted, layout.paper_bgcolor);
  layout.annotations.push({ ...note, yanchor: 'top', yshift: -layout.margin.b });
  layout.margin = { ...layout.margin, b: layout.margin.b + lines * NOTE_LINE_PX + 6 };
}

/** Create a note at the bottom of a figure that shows data. @param {string} text @param {string} color @param {string} ground */
export function footNote(text, color, ground) {
  const foot = { xref: 'paper', yref: 'paper', x: 0.5, y: 0, xanchor: 'center', yanchor: 'bottom', yshift: 4 };
  return { ...toNote(text, color), ...foot, bgcolor: ground, borderpad: 3 };
}

/** Describe why a table or a figure has no number, by its status. @param {string} status */
export function formatStatus(status) {
  return status === 'constant' ? 'constant over samples' : statusText(status);
}

/**
 * Describe which layers of a matrix have no numbers.
 * @param {number[]} lost rows from 0, in ascending order
 * @param {number} lastKnown the last row with numbers, -1 for none
 */
export function formatRows(lost, lastKnown) {
  const [first, last] = [lost[0] + 1, lost[lost.length - 1] + 1];
  if (lastKnown < last - 1)
    return lastKnown < first - 1 ? `from layer ${first} on` : `in ${lost.length} layers from ${first} on`;
  if (last - first + 1 > lost.length) return `in ${lost.length} of the layers ${first}–${last}`;
  if (first === 1 && last > 1) return `up to layer ${last}`;
  return first === last ? `at layer ${first}` : `in layers ${first}–${last}`;
}

/** Create the label of a run above its matrix. @param {string} text @param {string} x @param {string} y @param {string} color */
export function cellLabel(text, x, y, color) {
  return { ...toNote(text, color), ...within(x, y), x: 0, xanchor: 'left', y: 1, yanchor: 'bottom', yshift: 3 };
}

/** Create a note at the bottom of a matrix, legible on any colours. @param {string} text @param {string} x @param {string} y @param {string} color @param {string} ground */
export function cellNote(text, x, y, color, ground) {
  const foot = { x: 0.5, xanchor: 'center', y: 0.04, yanchor: 'bottom' };
  return { ...toNote(text, color), ...within(x, y), ...foot, bgcolor: ground, borderpad: 3 };
}

/** Create vertical text that starts at the top of a vertical axis, so that it is visible on a phone before scrolling; `xshift` is its distance from the axis in px. @param {string} text @param {number} xshift @param {string} color */
export function axisNote(text, xshift, color) {
  const place = { x: 0, xanchor: 'center', xshift, y: 1, yanchor: 'top', textangle: -90 };
  return { ...toNote(text, color), ...within('x', 'y'), ...place };
}

/** Create the note in the middle of a figure without data. @param {string} text @param {string} color */
export function emptyNote(text, color) {
  const middle = { x: 0.5, y: 0.5, xanchor: 'center', yanchor: 'middle' };
  return { xref: 'paper', yref: 'paper', ...middle, showarrow: false, text, font: { color } };
}

/** Write on a filled figure which runs it waits for, if it shows no data. @param {Figure} figure @param {(Columns | null)[]} results @param {string[]} labels */
export function addWaitingNote(figure, results, labels) {
  const { data, layout } = figure;
  if (data.some(({ visible }) => visible !== false)) return;
  const waiting = results.flatMap((result, run) => (isWaiting(figure, result, run) ? [labels[run]] : []));
  if (waiting.length === 0) return;
  const { isSmall, muted } = layout.meta;
  layout.annotations = [emptyNote(`Computing ${isSmall ? '' : waiting.join(', ')} …`, muted)];
}

/** Return whether a run may still deliver data for the figure. @param {Figure} figure @param {Columns | null} result @param {number} run */
function isWaiting({ data }, result, run) {
  if (!result?.start) return !result?.end;
  const isKnown = result.waits.size > 0; // derived columns are final, except for those in `waits`
  if (isKnown) return data.some(({ meta }) => meta.run === run && result.waits.has(meta.key));
  return result.end === null || result.lacksSteps;
}
