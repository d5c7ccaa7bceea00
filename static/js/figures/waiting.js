/** The note on an empty figure while its runs are computed. */

import { emptyNote } from './labels.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('../../types').Figure} Figure */

/** Write on a filled figure which runs it waits for, if it shows no data. @param {Figure} figure @param {(Columns | null)[]} results @param {string[]} labels */
export function addWaitingNote(figure, results, labels) {
  const { data, layout } = figure;
  if (data.some(({ visible }) => visible !== false)) return;
  const waiting = results.flatMap((result, run) => (isWaiting(figure, result, run) ? [labels[run]] : []));
  if (waiting.length === 0) return;
  const { isSmall, muted } = layout.meta;
  layout.annotations = [emptyNote(`Computing ${isSmall ? '' : waiting.join(', ')} …`, muted)];
}

/** Return whether a run may still deliver data for the figure. @param {Figure} figure @param {Columns | null} result @param {number} run */
function isWaiting({ data }, result, run) {
  if (!result?.start) return !result?.end;
  const isKnown = result.waits.size > 0; // derived columns are final, except for those in `waits`
  if (isKnown) return data.some(({ meta }) => meta.run === run && result.waits.has(meta.key));
  return result.end === null || result.lacksSteps;
}
