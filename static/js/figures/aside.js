/** Where words at the cursor stand so that as little as can be of any curve runs through them. No browser here. */

import { spread } from '../data/labels.js';
import { range } from '../data/numbers.js';

/** @typedef {import('../../types').Trace} Trace */
/** From x in pixels to the heights of curves there, down from the top of the plot. @typedef {(x: number) => number[]} Heights */

const COLUMN_PX = 4; // how densely curves are looked at
const AWAY_PX = [0, -13, 13, -22, 22, -30, 30, -39, 39]; // from a point to the middle of its words
const AWAY_COST = 0.04; // of a pixel, in columns: words stay near to their point where that hides nothing more
const OVER_COST = 100; // of words over others, in columns
const MARGIN_PX = 1;

/**
 * What a plot's curves do, as a function of the place.
 * @param {Trace[]} traces that are drawn as lines
 * @param {{toX: (value: number) => number, toY: (value: number) => number, top: number}} area
 * @returns {Heights}
 */
export function toHeights(traces, { toX, toY, top }) {
  const pieces = traces.flatMap((trace) => piecesOf(trace).map((piece) => ({ ...piece, y: trace.y })));
  const [origin, unit] = [toX(0), toX(1) - toX(0)];
  return (x) => {
    const place = (x - origin) / unit;
    return pieces.flatMap(({ from, first, count, y }) => {
      const index = Math.floor(place - first);
      if (index < 0 || index >= count - 1) return [];
      const [left, right] = [y[from + index], y[from + index + 1]];
      if (left === null || right === null) return [];
      return [toY(left + (place - first - index) * (right - left)) - top];
    });
  };
}

/** Where a trace goes from layer to layer without a break: a trace of many streams begins anew with each. @param {Trace} trace */
function piecesOf({ x }) {
  /** @type {{from: number, first: number, count: number}[]} */
  const pieces = [];
  for (const [index, place] of x.entries()) {
    if (place === null) continue;
    const last = pieces[pieces.length - 1];
    if (last && index === last.from + last.count) last.count++;
    else pieces.push({ from: index, first: place, count: 1 });
  }
  return pieces;
}

/**
 * The tops of words beside points, none over another, and how many columns of curves they cover.
 * @param {number[]} heights of the points
 * @param {[number, number][]} sides from where to where each one's words reach
 * @param {Heights} curves
 * @param {{letter: number, room: number, taken: [number, number][]}} size height of words and of the plot, and what is taken
 * @returns {{tops: number[], hidden: number}}
 */
export function standAside(heights, sides, curves, { letter, room, taken }) {
  const columns = sides.map(([left, right]) =>
    range(0, Math.floor((right - left) / COLUMN_PX)).map((index) => curves(left + index * COLUMN_PX)),
  );
  const wanted = new Array(heights.length).fill(0);
  const placed = [...taken];
  const order = [...heights.keys()].sort((a, b) => heights[a] - heights[b]);
  for (const index of order) {
    const costs = AWAY_PX.map((away) => {
      const top = Math.min(Math.max(heights[index] + away - letter / 2, 0), room - letter);
      const isOver = placed.some(([from, to]) => top + letter > from && top < to);
      const hidden = countHidden(columns[index], top, letter);
      return { top, cost: hidden + AWAY_COST * Math.abs(away) + (isOver ? OVER_COST : 0) };
    });
    wanted[index] = costs.reduce((best, item) => (item.cost < best.cost ? item : best)).top;
    placed.push([wanted[index], wanted[index] + letter]);
  }
  const tops = spread(wanted, letter, room - letter, taken);
  const hidden = tops.reduce((sum, top, index) => sum + countHidden(columns[index], top, letter), 0);
  return { tops, hidden };
}

/** Columns in which a curve runs through words. @param {number[][]} columns @param {number} top @param {number} letter */
function countHidden(columns, top, letter) {
  const isHidden = (/** @type {number} */ y) => y > top - MARGIN_PX && y < top + letter + MARGIN_PX;
  return columns.filter((heights) => heights.some(isHidden)).length;
}
