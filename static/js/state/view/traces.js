/** Records of traces among the runs of a view: a trace has an id in place of a spec, and stays as it is while settings move the others. No browser here. */

import { appliesTo, KIND, TRACE, toDifferences, toSpec } from './spec.js';

/**
 * @typedef {import('../../../types').Choice} Choice
 * @typedef {import('../../../types').Field} Field
 * @typedef {import('../../../types').Value} Value
 * @typedef {import('../../../types').View} View
 */

/** Seed and input: where runs differ in them, part of what else differs is chance. */
const COMMON = /^(seed$|input\.)/;

/** Of seed and input, the settings in which runs of a view differ. @param {Map<string, Field>} fields @param {View} view */
export const toMixed = (fields, view) =>
  toDifferences(fields, view).flatMap(({ field }) => (COMMON.test(field.path) ? [field] : []));

const ID = /^[0-9a-f]{20}$/;
/** In an address of the page, in that of the record itself, or alone. */
const NAMED = /(?:^|[.&#]trace=|\/runs\/)([0-9a-f]{20})(?![0-9a-f])/;

/** Whether a text is the id of a record. @param {string} text */
export const isId = (text) => ID.test(text);

/** The id in what someone pastes, such as a link to a trace; null where there is none. @param {string} text */
export const findId = (text) => NAMED.exec(text.trim())?.[1] ?? null;

/** What a place of a view asks for, in one word: the spec of a run, or the record of a trace. @param {Map<string, Field>} fields @param {View} view @param {Choice} choice */
export function toRequestKey(fields, view, choice) {
  return choice.kind === TRACE ? toTraceKey(choice.trace) : JSON.stringify(toSpec(fields, view, choice));
}

/** @param {string | undefined} id */
const toTraceKey = (id) => `${TRACE} ${id}`;

/** Whether a place was asked for as a trace. @param {string | undefined} requestKey */
export const isTraceRequest = (requestKey) => requestKey?.startsWith(TRACE) === true;

/** Whether it is not known which trace is meant, as in the address of a stored view that lists it as `trace` alone. @param {View} view */
export const hasUnnamed = ({ runs }) => runs.some(({ kind, trace }) => kind === TRACE && trace === undefined);

/** Ids of the traces of a view. @param {View} view @returns {string[]} */
export const tracesOf = ({ runs }) => runs.flatMap(({ trace }) => trace ?? []);

/**
 * With a recording as the first run. Where its depth is known the others get it too, so that all have the same layers: no run keeps a depth of
 * its own. Layers that were chosen in the view before are not chosen any more.
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

/** Without these records. @param {View} view @param {string[]} ids @returns {View} */
export function withoutRecords(view, ids) {
  return { ...view, runs: view.runs.filter(({ trace }) => trace === undefined || !ids.includes(trace)) };
}

/**
 * With one more run, of a spec: what it has beyond the common settings is its own, but for seed and input, which are those of the other
 * runs. Beside traces alone its settings become the common ones, which sliders then move.
 * @param {Map<string, Field>} fields
 * @param {View} view
 * @param {any} spec
 * @param {number} place from 0
 * @returns {View}
 */
export function withSpec(fields, view, spec, place) {
  const isFirst = view.runs.every(({ kind }) => kind === TRACE);
  const settings = settingsOf(fields, spec);
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
  return { ...view, base, runs: view.runs.toSpliced(place, 0, { ...bare, own: Object.fromEntries(own) }) };
}

/** Whether a view gives to a spec another seed or input than its own. @param {Map<string, Field>} fields @param {View} view @param {any} spec */
export function changesInput(fields, view, spec) {
  const settings = Object.entries(settingsOf(fields, spec)).filter(([path]) => COMMON.test(path));
  const hasRuns = view.runs.some(({ kind }) => kind !== TRACE);
  return hasRuns && settings.some(([path, value]) => value !== (view.base[path] ?? fields.get(path)?.initial));
}

/** Every setting of a spec, by its path. @param {Map<string, Field>} fields @param {any} spec @returns {Record<string, Value>} */
function settingsOf(fields, spec) {
  return Object.fromEntries(
    [...fields.values()].map(({ path, initial }) => {
      const [part, leaf] = path.split('.');
      return [path, (leaf === undefined ? spec[part] : spec[part]?.[leaf]) ?? initial];
    }),
  );
}

/** What differs from the default. @param {Map<string, Field>} fields @param {Record<string, Value>} settings */
function toBase(fields, settings) {
  return Object.fromEntries(Object.entries(settings).filter(([path, value]) => value !== fields.get(path)?.initial));
}
