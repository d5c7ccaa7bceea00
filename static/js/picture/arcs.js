/** Draws what a layer reads of earlier outputs, as arcs over the strip of a run without mixing. No browser here. */

import { xOf } from './layout.js';
import { sharesAt } from './reading.js';
import { toLine } from './shapes.js';

/** @typedef {import('./layout.js').Layout} Layout @typedef {import('./layout.js').Band} Band @typedef {import('./reading.js').Reading} Reading @typedef {import('./shapes.js').Shape} Shape */

const LEAST_SHARE = 0.004; // smaller shares would be invisible
const WIDTH_PX = { least: 0.6, most: 3 };
const RISE = { share: 0.35, least: 8 }; // of the distance that an arc spans, in px at least
const EDGE_PX = 3; // between the highest arc and the end of the band

/**
 * Draw an arc from every source to the layer that reads it, as wide and opaque as its share of the largest one.
 * @param {Reading} reading @param {import('./shapes.js').Ink} color @param {Layout} layout @param {Band} band @param {number} layer from 0
 * @returns {Shape[]}
 */
export function toArcs(reading, color, layout, { lanes, top }, layer) {
  const shares = sharesAt(reading, layer) ?? [];
  const most = Math.max(...shares);
  const room = lanes[0] - top - EDGE_PX;
  return shares.flatMap((share, source) => {
    if (share < LEAST_SHARE) return [];
    const [from, to] = [source, layer + 0.5].map((position) => xOf(layout, position));
    // A cubic curve reaches three quarters of the height of its control points.
    const y = lanes[0] - (4 / 3) * Math.min(room, Math.max(RISE.least, RISE.share * (to - from)));
    const strength = share / most;
    return [
      toLine([from, lanes[0], from, y, to, y, to, lanes[0]], color, {
        width: WIDTH_PX.least + (WIDTH_PX.most - WIDTH_PX.least) * strength,
        opacity: 0.15 + 0.75 * strength,
        isCurve: true,
      }),
    ];
  });
}
