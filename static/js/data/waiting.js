/** What an empty figure says while its runs are being computed. */

import { note } from './labels.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('../../types').Figure} Figure */

/** Let a filled figure that draws nothing say which runs it waits for. @param {Figure} figure @param {(Columns | null)[]} results @param {string[]} labels */
export function noteWaiting(figure, results, labels) {
  const { data, layout } = figure;
  if (data.some(({ visible }) => visible !== false)) return;
  const waiting = results.flatMap((result, run) => (isWaiting(figure, result, run) ? [labels[run]] : []));
  if (waiting.length === 0) return;
  const { isSmall, muted } = layout.meta;
  layout.annotations = [note(`Computing ${isSmall ? '' : waiting.join(', ')} …`, muted)];
}

/** Whether a run may still bring what the figure draws. @param {Figure} figure @param {Columns | null} result @param {number} run */
function isWaiting({ data }, result, run) {
  if (!result?.start) return true;
  const isKnown = result.waits.size > 0; // what is known at once is final, except for what waits
  if (isKnown) return data.some(({ meta }) => meta.run === run && result.waits.has(meta.key));
  return result.end === null;
}
