/** Zooming a card: a range of layers is that of every card; what its other axes show is the card's own. */

import { logTicks } from '../data/numbers.js';

/** @typedef {import('../../types').Figure} Figure @typedef {Record<string, [number, number]>} Ranges by axis */

/** An axis of layers that shows as many as there is room for: to pan it chooses nothing. */
const WINDOW = 'window';

/**
 * The layers that someone has zoomed to, from 0; null where no axis of layers was zoomed.
 * @param {Record<string, string>} kinds of the axes that count layers
 * @param {Ranges} ranges of the axes that were zoomed
 */
export function layersWithin(kinds, ranges) {
  const axis = Object.keys(kinds).find((name) => kinds[name] !== WINDOW && name in ranges);
  if (axis === undefined) return null;
  const before = kinds[axis] === 'sources' ? 0 : 1; // the embedding is counted as well
  const [low, high] = [...ranges[axis]].sort((a, b) => a - b).map((place) => place - before);
  const [first, last] = [Math.max(0, Math.ceil(low)), Math.floor(high)];
  // Between two layers it is those two.
  return first <= last ? { first, last } : { first: last, last: first };
}

/** What a hand has made of a card's own axes. It holds as long as the same layers are shown. */
export class OwnZoom {
  constructor() {
    this.of = '';
    /** @type {Ranges} */
    this.ranges = {};
  }

  /** @param {string} of the layers that are shown, as one word @param {Ranges} ranges @param {Record<string, string>} kinds of the axes that count layers */
  set(of, ranges, kinds) {
    const isShared = (/** @type {string} */ name) => name.startsWith('x') && name in kinds && kinds[name] !== WINDOW;
    const own = Object.entries(ranges).filter(([name]) => !isShared(name));
    this.ranges = { ...(this.of === of ? this.ranges : {}), ...Object.fromEntries(own) };
    this.of = of;
  }

  /** Whether there was anything to forget. */
  clear() {
    const had = Object.keys(this.ranges).length > 0;
    this.ranges = {};
    return had;
  }

  /** As one word. @param {string} of the layers that are shown */
  keyFor(of) {
    return this.of === of ? JSON.stringify(this.ranges) : '{}';
  }

  /** Give a filled figure these ranges, and logarithmic axes ticks for them. @param {Figure} figure @param {string} of the layers that are shown */
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
