/** What a record says of where it comes from, for all who show it: a run has a spec, a trace has none. No browser here. */

/**
 * @typedef {import('../../types').Columns} Columns
 * @typedef {import('../../types').StartFrame} StartFrame
 * @typedef {{kind: 'spec', spec: Record<string, any>}} SpecSource
 * @typedef {SpecSource | import('../../types').TraceSource} Source
 */

/** Spec or trace, in one form. @param {StartFrame} start @returns {Source} */
export function sourceOf({ spec, source }) {
  return source ?? { kind: 'spec', spec: spec ?? {} };
}

/** The spec of a run; null of a trace, and before the first frame. @param {Columns} columns @returns {Record<string, any> | null} */
export function specOf({ start }) {
  const source = start && sourceOf(start);
  return source?.kind === 'spec' ? source.spec : null;
}

/** The kind of connection, or that it is a trace; null before the first frame. @param {Columns | null} columns @returns {string | null} */
export function methodOf(columns) {
  const source = columns?.start && sourceOf(columns.start);
  if (!source) return null;
  return source.kind === 'spec' ? source.spec.connection.kind : source.kind;
}

/** The name of the model that was traced; null of a run, and before the first frame. @param {Columns} columns @returns {string | null} */
export function modelOf({ start }) {
  return start?.source?.model.name ?? null;
}

/** Layers; 0 before the first frame. @param {Columns} columns */
export function depthOf({ start }) {
  return start?.layers ?? 0;
}

/** Steps of training: those that were asked for, of which early specs know none; of a trace, which may grow, those that have come. @param {Columns} columns @returns {number} */
export function trainSteps(columns) {
  return modelOf(columns) === null ? (specOf(columns)?.train?.steps ?? 0) : columns.trained;
}

/** Whether someone's model is training and its trace grows. @param {Columns} columns */
export const isGrowing = (columns) => modelOf(columns) !== null && columns.end === null;

/** Seeds that are measured; early specs do not say, and are of one. @param {Columns} columns @returns {number} */
export function seedsOf(columns) {
  return specOf(columns)?.seeds ?? 1;
}

/** Size, drift and origin of a record, in a few words. @param {Columns} columns @param {Columns[]} [all] the runs next to it: a residual network has no drift, but they may */
export function describeRecord(columns, all = [columns]) {
  const spec = specOf(columns);
  if (spec)
    return [`depth ${spec.depth}, width ${spec.width}`, ...driftOf(all), `seed ${spec.seed}, ${spec.dtype}`].join(', ');
  return `a trace of ${modelOf(columns)}, ${depthOf(columns)} layers, ${columns.start?.streams} streams`;
}

/** `drift 0.3`, or one value per run that has one; empty where none has. @param {Columns[]} all */
function driftOf(all) {
  const mixed = all.filter(({ start }) => (start?.streams ?? 1) > 1);
  const drifts = mixed.flatMap((columns) => specOf(columns)?.connection.noise ?? []);
  return drifts.length > 0 ? [`drift ${[...new Set(drifts)].join(' / ')}`] : [];
}

/**
 * What figures of some metrics need that a trace may not have heard: the metrics' keys, one that is there where it was heard, and what is
 * said where it is not.
 * @type {{keys: RegExp, base: string, said: string}[]}
 */
const REASONS = [
  { keys: /loss/, base: 'step_loss', said: 'the recording has no loss.' },
  { keys: /grad/, base: 'grad_rms', said: 'the recording has no backward pass, so gradients are unknown.' },
  { keys: /^cka$/, base: 'cka', said: 'layer similarity was not measured.' },
  {
    keys: /^(act_rms|cos_|token_cos)/,
    base: 'act_rms',
    said: 'the recording has no forward pass, so signals are unknown.',
  },
];

/** What traces do not tell of a figure, and why, in sentences. @param {import('../../types').Figure} figure @param {{label: string, columns: Columns}[]} runs @returns {string[]} */
export function describeMissingMetrics(figure, runs) {
  const reason = REASONS.find(({ keys }) => figure.data.every((trace) => keys.test(trace.meta.key)));
  if (!reason) return [];
  const silent = runs.filter(({ columns }) => isSettled(columns) && !has(columns, reason.base));
  return silent.map(({ label }) => `${label}: ${reason.said}`);
}

/** Whether a trace has come so far that what it lacks will not come. @param {Columns} columns */
const isSettled = (columns) =>
  modelOf(columns) !== null && (columns.end !== null || columns.summary !== null || columns.trained > 0);

/** @param {Columns} columns @param {string} key */
const has = ({ layers, matrices, steps }, key) => layers.has(key) || matrices.has(key) || steps.has(key);
