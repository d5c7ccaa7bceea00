/** Zoom of a card: a range of layers applies to every card, ranges of other axes to this card only. */

import { logTicks } from '../data/numbers.js';

/** @typedef {import('../../types').Figure} Figure @typedef {Record<string, [number, number]>} Ranges by axis */

/** Kind of an axis that shows as many layers as fit; panning it does not set the interval. */
const WINDOW = 'window';

/**
 * Return the layers of a zoom, from 0; null if no layer axis was zoomed.
 * @param {Record<string, string>} kinds of the axes that count layers
 * @param {Ranges} ranges of the axes that were zoomed
 */
export function layersWithin(kinds, ranges) {
  const axis = Object.keys(kinds).find((name) => kinds[name] !== WINDOW && name in ranges);
  if (axis === undefined) return null;
  const before = kinds[axis] === 'sources' ? 0 : 1; // axes of sources start with the embedding
  const [low, high] = [...ranges[axis]].sort((a, b) => a - b).map((position) => position - before);
  const [first, last] = [Math.max(0, Math.ceil(low)), Math.floor(high)];
  // A range between two layers selects both.
  return first <= last ? { first, last } : { first: last, last: first };
}

/** Zoom of a card's own axes; valid while the same layers are shown. */
export class OwnZoom {
  constructor() {
    this.of = '';
    /** @type {Ranges} */
    this.ranges = {};
  }

  /** Store the zoom of the card's own axes; axes of layers are zoomed in all cards instead. @param {string} of key of the shown layers @param {Ranges} ranges @param {Record<string, string>} kinds of the axes that count layers */
  set(of, ranges, kinds) {
    const isShared = (/** @type {string} */ name) => name.startsWith('x') && name in kinds && kinds[name] !== WINDOW;
    const own = Object.entries(ranges).filter(([name]) => !isShared(name));
    this.ranges = { ...(this.of === of ? this.ranges : {}), ...Object.fromEntries(own) };
    this.of = of;
  }

  /** Reset the zoom of the card; return whether there was one. */
  clear() {
    const had = Object.keys(this.ranges).length > 0;
    this.ranges = {};
    return had;
  }

  /** Serialise the zoom as a key for comparisons. @param {string} of key of the shown layers */
  keyFor(of) {
    return this.of === of ? JSON.stringify(this.ranges) : '{}';
  }

  /** Apply the ranges to a filled figure, with ticks for logarithmic axes. @param {Figure} figure @param {string} of key of the shown layers */
  applyTo({ layout }, of) {
    if (this.of !== of) return;
    for (const [name, range] of Object.entries(this.ranges)) {
      layout[name].range = range;
      if (layout.meta.axes?.[name]?.scale !== 'log') continue;
      const [tickvals, ticktext] = logTicks(...range);
      Object.assign(layout[name], { tickvals, ticktext });
    }
  }
}
