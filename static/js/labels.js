/** Words on a figure: labels at the ends of lines and at matrices, and where a curve is lost. As in `labels.py`. */

export const GAP = 0.085; // least distance of two labels, in heights of the plot

/**
 * Move places between 0 and `top` apart until neighbours keep the gap, in their order.
 * @param {number[]} places
 * @param {number} [gap]
 * @param {number} [top]
 */
export function spread(places, gap = GAP, top = 1) {
  const order = places.map((_, index) => index).sort((a, b) => places[a] - places[b] || b - a);
  const moved = [...places];
  let floor = 0;
  for (const index of order) {
    moved[index] = Math.max(moved[index], floor);
    floor = moved[index] + gap;
  }
  let ceiling = top;
  for (const index of order.reverse()) {
    moved[index] = Math.min(moved[index], ceiling);
    ceiling = moved[index] - gap;
  }
  return moved;
}

/**
 * A label right of every line's end, none over another.
 * @param {{place: number, text: string, color: string}[]} ends
 * @param {boolean} narrow
 */
export function endLabels(ends, narrow) {
  const places = spread(ends.map((end) => end.place));
  return ends.map((end, index) => ({
    xref: 'x domain',
    x: 1,
    xanchor: 'left',
    xshift: 6,
    yref: 'y domain',
    y: places[index],
    yanchor: 'middle',
    showarrow: false,
    text: narrow ? end.text.split(' ')[0] : end.text,
    font: { color: end.color, size: 12 },
  }));
}

/**
 * Where a curve is lost for want of a number: the point next to the loss, whether it ends there, what happened.
 * @param {(number | null)[]} drawn
 * @param {Map<number, string> | undefined} status
 * @param {'layer' | 'step'} [unit] what the points are
 * @returns {{point: number | null, ends: boolean, text: string} | null}
 */
export function findLost(drawn, status, unit = 'layer') {
  const lost = [...(status?.keys() ?? [])].filter((place) => drawn[place] === null).sort((a, b) => a - b);
  if (!status || lost.length === 0) return null;
  const first = lost[0];
  const known = drawn.flatMap((value, index) => (value === null ? [] : [index]));
  if (known.length === 0) return { point: null, ends: true, text: String(status.get(first)) };
  if (first > known[0]) {
    const point = Math.max(...known.filter((index) => index < first));
    return { point, ends: true, text: `${status.get(first)} at ${unit} ${first + 1}` };
  }
  const last = Math.max(...lost.filter((index) => index < known[0]));
  return { point: known[0], ends: false, text: `${status.get(last)} up to ${unit} ${last + 1}` };
}

/**
 * A cross at the point next to the loss, with what happened.
 * @param {{point: number, text: string}} lost
 * @param {string} name
 * @param {number} y
 * @param {boolean} isHigh
 * @param {number} count of the points
 * @param {string} color
 */
export function lostLabel(lost, name, y, isHigh, count, color) {
  const right = lost.point > count / 2;
  const text = `${name}: ${lost.text}`;
  return {
    xref: 'x',
    x: lost.point + 1,
    xanchor: right ? 'right' : 'left',
    yref: 'y',
    y,
    yanchor: isHigh && !right ? 'top' : 'bottom', // left of it the curve comes from below
    showarrow: false,
    text: right ? `${text} ✕` : `✕ ${text}`,
    font: { color, size: 12 },
  };
}

/** Why there is no number, where the word alone says too little. @param {string} status */
export function sayStatus(status) {
  return status === 'constant' ? 'constant over samples' : status;
}

/**
 * Which layers of a matrix have no numbers.
 * @param {number[]} lost rows from 0, in their order
 * @param {number} lastKnown the last row that has numbers, -1 for none
 */
export function sayRows(lost, lastKnown) {
  const [first, last] = [lost[0] + 1, lost[lost.length - 1] + 1];
  if (lastKnown < last - 1) return lastKnown < first - 1 ? `from layer ${first} on` : `in ${lost.length} layers from ${first} on`;
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
