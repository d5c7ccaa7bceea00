/** Symmetric colour scales of signed matrices. Counterpart: `mhc_core/figures/scales.py`. */

import { formatDecade, formatValue, inclusiveRange, niceStep } from '../data/numbers.js';

/** @typedef {import('../../types').FigureRules} FigureRules */

/** Map a weight to the logarithmic scale: nearly linear up to 1, decades beyond. @param {number} weight */
export function toSignedLog(weight) {
  return (Math.sign(weight) * Math.log1p(Math.abs(weight))) / Math.LN10;
}

/** Return the end of a linear scale. @param {number} largest */
export function linearBound(largest) {
  return largest > 0 ? Math.ceil(largest * 10) / 10 : 1;
}

/** Create a logarithmic colour axis with ticks at round weights. @param {number} largest @param {FigureRules} rules */
export function signedLogScale(largest, rules) {
  const bound = largest > 0 ? largest : Math.log10(2);
  const { places, texts } = signedLogTicks(bound, rules);
  const tickvals = [...places.map((position) => -position).reverse(), 0, ...places];
  const ticktext = [...texts.map((text) => `−${text}`).reverse(), '0', ...texts];
  return { cmin: -bound, cmax: bound, colorbar: { tickmode: 'array', tickvals, ticktext } };
}

/** Compute positions and labels of the ticks above zero on a signed logarithmic scale. @param {number} bound @param {FigureRules} rules */
function signedLogTicks(bound, rules) {
  const weight = bound < 2 ? 10 ** bound - 1 : Infinity;
  if (weight < 10) {
    const step = niceStep(weight / rules.min_steps);
    const marks = inclusiveRange(1, Math.floor((weight / step) * (1 + 1e-6))).map((index) => index * step);
    return { places: marks.map((mark) => Math.log10(1 + mark)), texts: marks.map((mark) => formatValue(mark)) };
  }
  const step = Math.max(1, Math.round(niceStep(bound / rules.max_ticks)));
  const first = bound < rules.room_for_one ? 0 : step;
  const powers = inclusiveRange(0, Math.floor((Math.floor(bound) - first) / step)).map((index) => first + index * step);
  return {
    places: powers.map((power) => (power < 16 ? Math.log10(1 + 10 ** power) : power)),
    texts: powers.map(formatDecade),
  };
}
