/** Reads the source of a record: a run has a spec, a recording has none. No browser here. */

/** @import { Columns, StartFrame } from '../../types' */
/**
 * @typedef {{kind: 'spec', spec: Record<string, any>}} SpecSource
 * @typedef {SpecSource | import('../../types').TraceSource} Source
 */

/** Return the source of a record; early records have a spec without a source. @param {StartFrame} start @returns {Source} */
export function sourceOf({ spec, source }) {
  return source ?? { kind: 'spec', spec: spec ?? {} };
}

/** Return the spec of a run; null for a recording, and before the first frame. @param {Columns} columns @returns {Record<string, any> | null} */
export function specOf({ start }) {
  const source = start && sourceOf(start);
  return source?.kind === 'spec' ? source.spec : null;
}

/** Return the kind of connection, or `trace`; null before the first frame. @param {Columns | null} columns @returns {string | null} */
export function methodOf(columns) {
  const source = columns?.start && sourceOf(columns.start);
  if (!source) return null;
  return source.kind === 'spec' ? source.spec.connection.kind : source.kind;
}

/** Return the name of the recorded model; null for a run, and before the first frame. @param {Columns} columns @returns {string | null} */
export function modelOf({ start }) {
  return start?.source?.model.name ?? null;
}

/** Return the edits of a recording; none of a run. @param {Columns} columns */
export function recordedEditsOf({ start }) {
  const source = start?.source;
  const edits = source?.kind === 'trace' ? source.edits : undefined;
  return /** @type {import('../../types').Edit[]} */ (/** @type {unknown} */ (edits ?? []));
}

/** Return the number of layers; 0 before the first frame. @param {Columns} columns */
export function depthOf({ start }) {
  return start?.layers ?? 0;
}

/** Return the number of training steps: requested ones (0 in early specs), or for a recording those received so far. @param {Columns} columns @returns {number} */
export function trainSteps(columns) {
  return modelOf(columns) === null ? (specOf(columns)?.train?.steps ?? 0) : columns.trained;
}

/** Return whether a recording still grows because its model is training. @param {Columns} columns */
export const isGrowing = (columns) => modelOf(columns) !== null && columns.end === null;

/** Return the number of measured seeds; default 1, as in early specs. @param {Columns} columns @returns {number} */
export function seedsOf(columns) {
  return specOf(columns)?.seeds ?? 1;
}

/** Return whether a run has several seeds: its numbers per layer are then medians, and all others are of the first. @param {Columns} columns */
export const hasSeveralSeeds = (columns) => seedsOf(columns) > 1;

/** Describe size, drift and origin of a record in a few words. @param {Columns} columns @param {Columns[]} [all] all compared runs, for their drift; default: this one */
export function describeRecord(columns, all = [columns]) {
  const spec = specOf(columns);
  if (spec)
    return [`depth ${spec.depth}, width ${spec.width}`, ...driftOf(all), `seed ${spec.seed}, ${spec.dtype}`].join(', ');
  return `a recording of ${modelOf(columns)}, ${depthOf(columns)} layers, ${columns.start?.streams} streams`;
}

/** Describe the drift: `drift 0.3`, or one value per run with a drift; empty if there is none. @param {Columns[]} all */
function driftOf(all) {
  const mixed = all.filter(({ start }) => (start?.streams ?? 1) > 1);
  const drifts = mixed.flatMap((columns) => specOf(columns)?.connection.noise ?? []);
  return drifts.length > 0 ? [`drift ${[...new Set(drifts)].join(' / ')}`] : [];
}

/**
 * Metrics that a recording may lack: their keys, a metric that shows whether they were recorded, and the note if they were not.
 * @type {{keys: RegExp, base: string, note: string}[]}
 */
const REASONS = [
  { keys: /loss/, base: 'step_loss', note: 'the recording has no loss.' },
  { keys: /grad/, base: 'grad_rms', note: 'the recording has no backward pass, so gradients are unknown.' },
  { keys: /^cka$/, base: 'cka', note: 'layer similarity was not measured.' },
  {
    keys: /^(act_rms|cos_|token_cos)/,
    base: 'act_rms',
    note: 'the recording has no forward pass, so signals are unknown.',
  },
];

/** Describe which metrics of a figure the recordings lack, and why. @param {import('../../types').Figure} figure @param {{label: string, columns: Columns}[]} runs @returns {string[]} */
export function describeMissingMetrics(figure, runs) {
  const reason = REASONS.find(({ keys }) => figure.data.every((trace) => keys.test(trace.meta.key)));
  if (!reason) return [];
  const silent = runs.filter(({ columns }) => isSettled(columns) && !hasMetric(columns, reason.base));
  return silent.map(({ label }) => `${label}: ${reason.note}`);
}

/** Return whether a recording can get no more metrics. @param {Columns} columns */
const isSettled = (columns) =>
  modelOf(columns) !== null && (columns.end !== null || columns.summary !== null || columns.trained > 0);

/** Return whether a metric has data. @param {Columns} columns @param {string} key */
export const hasMetric = ({ layers, matrices, steps }, key) => layers.has(key) || matrices.has(key) || steps.has(key);
