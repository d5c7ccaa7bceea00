/** The gain of a run: the one number that stands for it, wherever it is shown. */

import { formatFixed, formatValue } from './numbers.js';
import { reduceColumn } from './reduce.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('./reduce.js').Reduced} Reduced */

/** The largest gain over depth. @param {Columns} columns @param {'fwd' | 'bwd'} [direction] @returns {Reduced} */
export const gainOf = (columns, direction = 'fwd') => reduceColumn(columns, `composite_gain_${direction}`, 'max');

/** Three digits, near 1 two decimals: 1.00, 5.63, 790, 5.3×10²²¹; null where it is not known. @param {Reduced} gain */
export function formatGain({ value, log10 }) {
  if (value !== null && value >= 0.1 && value < 10) return formatFixed(value, 2);
  return value === null && log10 === null ? null : formatValue(value, log10, undefined, 3);
}
