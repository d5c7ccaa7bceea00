/** Draws edits on the strips, and finds what the pointer can change: cuts, their ends, and where a stream is restored. No browser here. */

import { xOf } from './layout.js';
import { toLine } from './shapes.js';

/** @typedef {import('../../types').Edit} Edit @typedef {import('./layout.js').Layout} Layout @typedef {import('./layout.js').Band} Band @typedef {import('./shapes.js').Shape} Shape */
/** An edit of a run, its place in the list of edits, and whether it is a cut after which nothing restores the stream. @typedef {{edit: Edit, place: number, isOpen: boolean}} Mark */
/**
 * What the pointer grabs: the edit, one of its ends, or the handle after a cut that says where the stream is restored.
 * @typedef {{run: number, mark: Mark, part: 'whole' | 'first' | 'last' | 'handle'}} Grip
 */

const HALF_PX = 6; // half the height of a mark
const CROSS_PX = 3;
const HANDLE_PX = { away: 12, radius: 4 };
const ABOVE_PX = 11; // from the first stream up to the marks of edits of whole layers
const NAME_HALF_PX = 7; // half the height of a name, which is above the streams on narrow screens
/** How far from a mark the pointer reaches it. */
const REACH_PX = { fine: 4, coarse: 12 };
const LANE_PX = 4; // distance up to which the pointer is on a stream
const GRAB_PX = 14; // distance up to which the pointer is on a stream of the magnified layer

/** Draw the edits of a run. @param {Mark[]} marks @param {Layout} layout @param {Band} band @returns {Shape[]} */
export function toEditShapes(marks, layout, band) {
  return marks.flatMap(({ edit, isOpen }) =>
    rowsOf(edit, layout, band).flatMap((y) => [
      ...(isOpen ? toHandle(edit, layout, y) : []),
      ...(isRestore(edit) ? toRestore(edit, layout, y) : toBar(edit, layout, y)),
    ]),
  );
}

/** Return whether an edit restores a stream. @param {Edit} edit */
const isRestore = (edit) => edit.what === 'stream' && edit.do === 'restore';

/** List the vertical positions of an edit: those of its streams, or one above all streams. @param {Edit} edit @param {Layout} layout @param {Band} band */
function rowsOf({ what, index, other }, { form }, { lanes, label }) {
  if (what === 'state') return lanes;
  if (what === 'stream') return [index, other].flatMap((stream) => lanes[stream ?? -1] ?? []);
  const above = lanes[0] - ABOVE_PX;
  return [form === 'narrow' ? Math.max(above, label.y + NAME_HALF_PX + HALF_PX) : above];
}

/** Return left and right end of an edit in px: where its first layer begins and its last ends. @param {Edit} edit @param {Layout} layout */
function endsOf({ layers: [first, last] }, layout) {
  return [xOf(layout, first), xOf(layout, last + 1)];
}

/** Draw the range of an edit; a cross where it cuts. @param {Edit} edit @param {Layout} layout @param {number} y @returns {Shape[]} */
function toBar(edit, layout, y) {
  const [left, right] = endsOf(edit, layout);
  const width = Math.max(2 * HALF_PX, right - left);
  const x = (left + right - width) / 2;
  return [
    {
      kind: 'box',
      x,
      y: y - HALF_PX,
      width,
      height: 2 * HALF_PX,
      radius: HALF_PX,
      color: 'ink',
      fill: 'card',
      opacity: 0.9,
    },
    ...(edit.do === 'zero' ? toCross(x + HALF_PX, y) : [toDot(x + HALF_PX, y, 'ink')]),
  ];
}

/** Draw a cross. @param {number} x @param {number} y @returns {Shape[]} */
export const toCross = (x, y) => [
  toLine([x - CROSS_PX, y - CROSS_PX, x + CROSS_PX, y + CROSS_PX], 'ink', { width: 1.5 }),
  toLine([x - CROSS_PX, y + CROSS_PX, x + CROSS_PX, y - CROSS_PX], 'ink', { width: 1.5 }),
];

/** Draw a dot. @param {number} x @param {number} y @param {import('./shapes.js').Ink} fill @param {number} [radius] @returns {Shape} */
const toDot = (x, y, fill, radius = 1.5) => ({ kind: 'dot', x, y, radius, color: 'ink', fill });

/** Draw where a stream is restored. @param {Edit} edit @param {Layout} layout @param {number} y @returns {Shape[]} */
function toRestore(edit, layout, y) {
  const x = xOf(layout, edit.layers[0]);
  const [, right] = endsOf(edit, layout);
  const isLong = edit.layers[1] > edit.layers[0];
  return [
    ...(isLong ? [toLine([x, y, right, y], 'ink', { width: 2 })] : []),
    toDot(x, y, 'card', HALF_PX),
    toLine([x - CROSS_PX, y, x + CROSS_PX, y], 'ink', { width: 1.5 }),
    toLine([x, y - CROSS_PX, x, y + CROSS_PX], 'ink', { width: 1.5 }),
  ];
}

/** Draw the handle after a cut. @param {Edit} edit @param {Layout} layout @param {number} y @returns {Shape[]} */
function toHandle(edit, layout, y) {
  const x = handleX(edit, layout);
  const [, right] = endsOf(edit, layout);
  return [toLine([right, y, x, y], 'ink', { isDashed: true }), toDot(x, y, 'card', HANDLE_PX.radius)];
}

/** Return where the handle of a cut is: after it, within the strips. @param {Edit} edit @param {Layout} layout */
function handleX(edit, layout) {
  return Math.min(endsOf(edit, layout)[1] + HANDLE_PX.away, layout.strips.right + HANDLE_PX.radius);
}

/**
 * Find what the pointer can grab of the edits; the edit that was added last is on top.
 * @param {Mark[][]} marks of each run @param {Layout} layout @param {number} x @param {number} y @param {boolean} [isCoarse] whether a finger points
 * @returns {Grip | null}
 */
export function gripAt(marks, layout, x, y, isCoarse = false) {
  const reach = isCoarse ? REACH_PX.coarse : REACH_PX.fine;
  const found = marks.flatMap((all, run) => gripsOf(all, run, layout, x, y, reach)).toReversed();
  return found[0] ?? null;
}

/** List what the pointer can grab of a run's edits. @param {Mark[]} marks @param {number} run @param {Layout} layout @param {number} x @param {number} y @param {number} reach @returns {Grip[]} */
function gripsOf(marks, run, layout, x, y, reach) {
  return marks.flatMap((mark) => {
    const rows = rowsOf(mark.edit, layout, layout.bands[run]);
    if (!rows.some((row) => Math.abs(y - row) <= HALF_PX + reach / 2)) return [];
    const part = partAt(mark, layout, x, reach);
    return part ? [{ run, mark, part }] : [];
  });
}

/** Return the part of an edit at a position; null if none. @param {Mark} mark @param {Layout} layout @param {number} x @param {number} reach @returns {Grip['part'] | null} */
function partAt({ edit, isOpen }, layout, x, reach) {
  const [left, right] = endsOf(edit, layout);
  if (isRestore(edit)) return Math.abs(x - left) <= HALF_PX + reach ? 'whole' : null;
  const least = (left + right) / 2 - HALF_PX;
  const [from, to] = [Math.min(left, least), Math.max(right, least + 2 * HALF_PX)];
  if (isOpen && x > to && x <= handleX(edit, layout) + HANDLE_PX.radius + reach) return 'handle';
  if (x < from - reach || x > to + reach) return null;
  if (to - from < 4 * HALF_PX) return x > (from + to) / 2 ? 'last' : 'first';
  return x > to - HALF_PX ? 'last' : x < from + HALF_PX ? 'first' : 'whole';
}

/** Return the layers of an edit whose part is dragged from one layer to another. @param {Edit} edit @param {Grip['part']} part @param {number} from @param {number} to @param {number} depth @returns {[number, number]} */
export function dragLayers({ layers: [first, last] }, part, from, to, depth) {
  if (part === 'first') return [Math.min(to, last), last];
  if (part === 'last') return [first, Math.max(to, first)];
  const by = Math.min(depth - 1 - last, Math.max(-first, to - from));
  return [first + by, last + by];
}

/** Return the run and stream whose ribbon is at a point of the picture; null if none is near. @param {Layout} layout @param {number} x @param {number} y @returns {{run: number, stream: number} | null} */
export function laneAt({ strips, bands }, x, y) {
  if (x < strips.left || x > strips.right) return null;
  for (const [run, { lanes }] of bands.entries()) {
    const stream = lanes.findIndex((lane) => Math.abs(y - lane) <= LANE_PX);
    if (stream >= 0) return { run, stream };
  }
  return null;
}

/** Return the stream of the magnified layer whose entry is at a point; null if none. @param {{left: number, lanes: number[]}} magnifier @param {number} x @param {number} y */
export function magnifiedLaneAt({ left, lanes }, x, y) {
  const [nearest] = [...lanes.keys()].sort((one, other) => Math.abs(y - lanes[one]) - Math.abs(y - lanes[other]));
  return Math.abs(x - left) <= GRAB_PX && Math.abs(y - lanes[nearest]) <= GRAB_PX ? nearest : null;
}

/** Return whether a point is between the streams of the magnified layer before and after it, where its mixing is drawn. @param {{left: number, right: number, lanes: number[]}} magnifier @param {number} x @param {number} y */
export function isOnMixing({ left, right, lanes }, x, y) {
  const isAcross = x > left + GRAB_PX && x < right - GRAB_PX;
  return isAcross && y >= lanes[0] - GRAB_PX && y <= lanes[lanes.length - 1] + GRAB_PX;
}
