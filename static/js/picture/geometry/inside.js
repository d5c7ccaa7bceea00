/** A signal inside the magnified layer: a bead on every line, as large as the weight that it meets. No browser here. */

import { toLinks } from './glass.js';

/** @typedef {import('./picture.js').Plan} Plan @typedef {import('./glass.js').Link} Link @typedef {import('./shapes.js').Shape} Shape */

const BEAD = { least_px: 1.2, unit_px: 3, most: 1.5 };
const LIT = 0.16; // of the way on either side of its middle the branch is at work

/**
 * Across the layer streams mix; meanwhile the branch reads in the first half and writes in the second. A gradient takes the same ways back.
 * @param {Plan} plan @param {number} layer from 0 @param {'forward' | 'backward'} leg @param {number} inside from 0, before the layer, to 1, after it
 * @returns {Shape[]}
 */
export function toInside({ layout, runs }, layer, leg, inside) {
  return runs.flatMap(({ reading }, run) => {
    if (!reading || layer >= reading.layers) return [];
    const { mix, read, write, branch } = toLinks(reading, layout.bands[run], layer);
    const [links, share] = inside < 0.5 ? [read, 2 * inside] : [write, 2 * inside - 1];
    const lit = /** @type {Shape[]} */ (
      Math.abs(inside - 0.5) < LIT ? [{ ...branch, fill: 'ink', opacity: 0.25 }] : []
    );
    return [...mix.map((link) => toBead(link, inside, leg)), ...links.map((link) => toBead(link, share, leg)), ...lit];
  });
}

/** @param {Link} link @param {number} share of the way @param {'forward' | 'backward'} leg @returns {Shape} */
function toBead({ weight, points }, share, leg) {
  const [x, y] = pointOn(points, share);
  const radius = BEAD.least_px + BEAD.unit_px * Math.min(BEAD.most, Math.abs(weight));
  return leg === 'forward'
    ? { kind: 'dot', x, y, radius, color: 'ink', fill: 'card' }
    : { kind: 'dot', x, y, radius, color: 'card', fill: 'ink' };
}

/** On a cubic Bezier curve. @param {number[]} points ends and control points @param {number} share @returns {[number, number]} */
export function pointOn([x0, y0, x1, y1, x2, y2, x3, y3], share) {
  const left = 1 - share;
  const [a, b, c, d] = [left ** 3, 3 * left ** 2 * share, 3 * left * share ** 2, share ** 3];
  return [a * x0 + b * x1 + c * x2 + d * x3, a * y0 + b * y1 + c * y2 + d * y3];
}
