/** Merges two views: the runs of both, without duplicates; if these are too many, the runs that differ, in pairs with one connection. No browser here. */

import { appliesTo, fromSpecs, kindName, TRACE, titleInSentence, toSpec } from '../state/spec.js';
import { toMixed, toRequestKey } from '../state/viewtraces.js';

/** @typedef {import('../../types').Field} Field @typedef {import('../../types').View} View */
/** `spec` is null for a recording. @typedef {{spec: any, kind: string, trace: string | undefined, text: string, name: string | undefined, isMixing: boolean}} Run */

/**
 * Merge two views into one that compares their runs.
 * @param {Map<string, Field>} fields
 * @param {[View, View]} views
 * @param {number} most runs that the page compares
 * @returns {{view: View | null, message: string}} null if there is nothing to compare
 */
export function mergeViews(fields, views, most) {
  const [ours, theirs] = views.map((view) => toRuns(fields, view));
  if (ours.length === 0 || theirs.length === 0)
    return { view: null, message: 'One of these views has only recordings that its address does not name.' };
  const all = dropDuplicates([...ours, ...theirs]);
  if (all.length === Math.max(dropDuplicates(ours).length, dropDuplicates(theirs).length))
    return { view: null, message: 'One view contains all runs of the other, so there is nothing to add.' };
  const chosen = all.length <= most ? all : chooseComparedRuns(ours, theirs, most);
  const view = toJoinedView(fields, chosen);
  const mixed = toMixed(fields, view).map(titleInSentence).join(', ');
  return {
    view,
    message: [
      describeChoice(ours, theirs, chosen, all.length),
      mixed && `The runs differ in ${mixed}, so part of what differs is chance.`,
    ]
      .filter(Boolean)
      .join(' '),
  };
}

/** List the runs of a stored view that is compared. @param {Map<string, Field>} fields @param {View} view @returns {Run[]} */
function toRuns(fields, view) {
  const streams = fields.get('connection.streams');
  return view.runs
    .filter((choice) => choice.kind !== TRACE || choice.trace)
    .map((choice) => ({
      spec: choice.kind === TRACE ? null : toSpec(fields, view, choice),
      kind: choice.kind,
      trace: choice.trace,
      text: toRequestKey(fields, view, choice),
      name: choice.name,
      isMixing: choice.kind === TRACE || (streams !== undefined && appliesTo(fields, view, choice, streams)),
    }));
}

/** Remove duplicates. @param {Run[]} runs */
const dropDuplicates = (runs) => runs.filter((run, index) => runs.findIndex(({ text }) => text === run.text) === index);

/**
 * Choose as many differing pairs of runs with the same connection as fit, one run from each view; first those that mix streams, whose
 * gains can differ. Without pairs, choose runs that only one view has.
 * @param {Run[]} ours
 * @param {Run[]} theirs
 * @param {number} most
 */
function chooseComparedRuns(ours, theirs, most) {
  const left = [...theirs];
  const pairs = ours.flatMap((run) => {
    const index = left.findIndex((other) => other.kind === run.kind);
    const [other] = index < 0 ? [] : left.splice(index, 1);
    return other && other.text !== run.text ? [[run, other]] : [];
  });
  const differing = pairs.length > 0 ? pairs : onlyIn(ours, theirs).map((run) => [run]);
  const ordered = differing.sort(([one], [other]) => Number(other.isMixing) - Number(one.isMixing));
  const runs = ordered.slice(0, Math.floor(most / ordered[0].length)).flat();
  return [...ours, ...theirs].filter((run) => runs.includes(run));
}

/** List the runs that only one view has. @param {Run[]} ours @param {Run[]} theirs */
const onlyIn = (ours, theirs) =>
  [...ours, ...theirs].filter(({ text }) => ![ours, theirs].every((runs) => runs.some((run) => run.text === text)));

/** Say which runs of this view and of the other one are shown. @param {Run[]} ours @param {Run[]} theirs @param {Run[]} chosen @param {number} all */
function describeChoice(ours, theirs, chosen, all) {
  if (chosen.length === all) return `Shows all ${all} runs of both views side by side.`;
  const nameChosen = (/** @type {Run[]} */ runs) =>
    runs.filter((run) => chosen.includes(run)).map(({ kind, name }) => name ?? kindName(kind));
  const [one, other] = [nameChosen(ours).join(' and '), nameChosen(theirs).join(' and ')];
  const shown = one === other ? `${one} of each view` : [one, other].filter(Boolean).join(', and ');
  return `Shows ${shown}: ${chosen.length} of ${all} runs.`;
}

/** Build a view of runs, with settings that all share as common ones. @param {Map<string, Field>} fields @param {Run[]} runs @returns {View} */
function toJoinedView(fields, runs) {
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
