/** Two views side by side: the runs of both as one view, each once; where that is too many, the first of each. No browser here. */

import { fromSpecs, TRACE, toSpec } from '../../state/view/spec.js';
import { toAsked } from '../../state/view/traces.js';

/** @typedef {import('../../../types').Field} Field @typedef {import('../../../types').View} View */
/** `spec` is null of a trace. @typedef {{spec: any, trace: string | undefined, text: string, name: string | undefined}} Run */

/**
 * @param {Map<string, Field>} fields
 * @param {[View, View]} views
 * @param {number} most runs that the page compares
 * @returns {{view: View | null, said: string}} null where there is nothing to compare
 */
export function toCompared(fields, views, most) {
  const [ours, theirs] = views.map((view) => toRuns(fields, view));
  if (ours.length === 0 || theirs.length === 0)
    return { view: null, said: 'One of the two has nothing but traces of which it does not say which they are.' };
  const all = unique([...ours, ...theirs]);
  if (all.length === Math.max(ours.length, theirs.length))
    return { view: null, said: 'One of the two has all runs of the other: there is nothing to add.' };
  if (all.length <= most)
    return { view: join(fields, all), said: `Shows the runs of both: ${all.length} side by side.` };
  const firsts = unique([ours[0], theirs[0]]);
  const why = `Together they have ${all.length} runs, and ${most} fit side by side`;
  if (firsts.length < 2) return { view: null, said: `${why}; the first run of both is the same.` };
  return { view: join(fields, firsts), said: `${why}: shows the first run of each, in bold.` };
}

/** @param {Map<string, Field>} fields @param {View} view @returns {Run[]} */
function toRuns(fields, view) {
  return view.runs
    .filter((choice) => choice.kind !== TRACE || choice.trace)
    .map((choice) => ({
      spec: choice.kind === TRACE ? null : toSpec(fields, view, choice),
      trace: choice.trace,
      text: toAsked(fields, view, choice),
      name: choice.name,
    }));
}

/** @param {Run[]} runs */
const unique = (runs) => runs.filter((run, place) => runs.findIndex(({ text }) => text === run.text) === place);

/** @param {Map<string, Field>} fields @param {Run[]} runs @returns {View} */
function join(fields, runs) {
  const view = fromSpecs(
    fields,
    runs.map(({ spec }) => spec),
  );
  return {
    ...view,
    runs: view.runs.map((choice, run) => {
      const { name, trace } = runs[run];
      return { ...choice, ...(name && { name }), ...(trace && { trace }) };
    }),
  };
}
