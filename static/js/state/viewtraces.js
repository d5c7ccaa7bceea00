/** Recordings among the runs of a view: they have an id instead of a spec, and settings do not change them. No browser here. */

import { appliesTo, flattenSpec, KIND, TRACE, toDifferences, toSpec } from './spec.js';

/** @import { Choice, Field, Value, View } from '../../types' */

/** Seed and input: if runs differ in them, part of their other differences is chance. */
const COMMON = /^(seed$|input\.)/;

/** List the settings among seed and input in which runs differ. @param {Map<string, Field>} fields @param {View} view */
export const toMixed = (fields, view) =>
  toDifferences(fields, view).flatMap(({ field }) => (COMMON.test(field.path) ? [field] : []));

const ID = /^[0-9a-f]{20}$/;
/** An id in an address of the page, in the address of a record, or alone. */
const NAMED = /(?:^|[.&#]trace=|\/runs\/)([0-9a-f]{20})(?![0-9a-f])/;

/** Return whether a text is the id of a record. @param {string} text */
export const isRecordId = (text) => ID.test(text);

/** Find the id in pasted text, such as a link to a recording; null if there is none. @param {string} text */
export const findRecordId = (text) => NAMED.exec(text.trim())?.[1] ?? null;

/** Build the request key of a run: its spec as JSON, or the id of its recording. Equal keys need no new request. @param {Map<string, Field>} fields @param {View} view @param {Choice} choice */
export function toRequestKey(fields, view, choice) {
  return choice.kind === TRACE ? `${TRACE} ${choice.trace}` : JSON.stringify(toSpec(fields, view, choice));
}

/** Return whether a request key names a recording. @param {string | undefined} requestKey */
export const isTraceRequest = (requestKey) => requestKey?.startsWith(TRACE) === true;

/** Return whether a view has a recording without an id, as in the hash of a snapshot that lists it as `trace`. @param {View} view */
export const hasUnnamed = ({ runs }) => runs.some(({ kind, trace }) => kind === TRACE && trace === undefined);

/** List the ids of a view's recordings. @param {View} view @returns {string[]} */
export const tracesOf = ({ runs }) => runs.flatMap(({ trace }) => trace ?? []);

/**
 * Insert a recording as the first run. If its depth is known, all other runs get that depth, so that all have the same layers. Clears the
 * interval.
 * @param {View} view
 * @param {string} id
 * @param {number | null} depth
 * @returns {View}
 */
export function withTrace(view, id, depth = null) {
  const { interval: _, ...rest } = view;
  const runs = view.runs.map(({ own: { depth: deep, ...own }, ...run }) => ({
    ...run,
    own: depth === null && deep !== undefined ? { ...own, depth: deep } : own,
  }));
  const base = depth === null ? view.base : { ...view.base, depth };
  return { ...rest, base, cursor: null, runs: [{ kind: TRACE, own: {}, trace: id }, ...runs] };
}

/** Return a view without some recordings. @param {View} view @param {string[]} ids @returns {View} */
export function withoutRecords(view, ids) {
  return { ...view, runs: view.runs.filter(({ trace }) => trace === undefined || !ids.includes(trace)) };
}

/**
 * Insert a run with a spec. Settings that differ from the common ones become its own, except seed and input, which are those of the other
 * runs. If the view has no other run with a spec, the settings of the new run become the common ones, which sliders change.
 * @param {Map<string, Field>} fields
 * @param {View} view
 * @param {any} spec
 * @param {number} index of the new run, from 0
 * @returns {View}
 */
export function withSpec(fields, view, spec, index) {
  const isFirst = view.runs.every(({ kind }) => kind === TRACE);
  const settings = flattenSpec(fields, spec);
  const { [KIND]: kind, ...others } = settings;
  const base = isFirst ? toBase(fields, others) : view.base;
  /** @type {Choice} */
  const bare = { kind: String(kind), own: {} };
  const own = Object.entries(others).filter(([path, value]) => {
    const field = /** @type {Field} */ (fields.get(path));
    return (
      !COMMON.test(path) &&
      value !== (base[path] ?? field.initial) &&
      appliesTo(fields, { ...view, base: others }, bare, field)
    );
  });
  return { ...view, base, runs: view.runs.toSpliced(index, 0, { ...bare, own: Object.fromEntries(own) }) };
}

/** Return whether a spec loses its own seed or input when it is added to a view, whose runs share them. @param {Map<string, Field>} fields @param {View} view @param {any} spec */
export function replacesInput(fields, view, spec) {
  const settings = Object.entries(flattenSpec(fields, spec)).filter(([path]) => COMMON.test(path));
  const hasRuns = view.runs.some(({ kind }) => kind !== TRACE);
  return hasRuns && settings.some(([path, value]) => value !== (view.base[path] ?? fields.get(path)?.initial));
}

/** Keep the settings that differ from the default. @param {Map<string, Field>} fields @param {Record<string, Value>} settings */
function toBase(fields, settings) {
  return Object.fromEntries(Object.entries(settings).filter(([path, value]) => value !== fields.get(path)?.initial));
}
