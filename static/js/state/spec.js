/** Converts the schema to fields, and views to specs. No browser here. */

/** @import { Choice, Edit, Field, Value, View, ViewRules } from '../../types' */

import { shortenName } from '../figures/labels.js';
import {
  describeEdits,
  distinguishEdits,
  EDITS,
  fromSpecEdits,
  listActive,
  shortenEdits,
  toSpecEdits,
} from './editlist.js';

export const KIND = 'connection.kind';

/** Kind of a recording: it has an id instead of a spec, no settings, and is read instead of computed. */
export const TRACE = 'trace';

/** Names and years of connections by kind; the server sends them with the page. @type {import('../../types').ViewRules['connections']} */
export const connections = {};

/** On a page without a server: values of a setting for which runs exist, by path. @type {Record<string, number[]>} */
export const writtenStops = {};

/** Return whether the mixing of a connection is unconstrained. @param {string | null} kind */
export const isUnconstrained = (kind) => kind !== null && connections[kind]?.is_free === true;

/** Display names of values that need more than a capital letter. @type {Record<string, string>} */
const NAMES = {
  mlp: 'MLP',
  relu: 'ReLU',
  gelu: 'GELU',
  silu: 'SiLU',
  tanh: 'tanh',
  rmsnorm: 'RMSNorm',
  layernorm: 'LayerNorm',
  lucidrains: 'lucidrains',
  cpu: 'CPU',
  cuda: 'CUDA',
  deepseek_v4: 'DeepSeek-V4',
  c_mhc: 'C-mHC',
  hy_v4: 'HY-V4',
  float32: 'float32',
  float64: 'float64',
  bfloat16: 'bfloat16',
  adamw: 'AdamW',
  sgd: 'SGD',
  rezero: 'ReZero',
  skipinit: 'SkipInit',
  deepnorm: 'DeepNorm',
  inv_sqrt_depth: '1/√depth',
  layernorm_scaling: 'LayerNorm scaling',
};

/** Return the view of an address without a hash. @param {ViewRules} rules @returns {View} */
export function defaultView({ kinds }) {
  return { base: {}, runs: kinds.map((kind) => ({ kind, own: {} })), cursor: null };
}

/** Return the display name of an option, such as a kind of connection. @param {Value} value */
export function nameOf(value) {
  const text = String(value);
  return NAMES[text] ?? connections[text]?.name ?? text.charAt(0).toUpperCase() + text.slice(1).replaceAll('_', ' ');
}

/** Return the text of a setting's value, such as in the label of a run. @param {Field} field @param {Value} value */
export const textOf = (field, value) =>
  field.control === EDITS ? shortenEdits(listActive(String(value))) : nameOf(value);

/** Sort connections into the groups that the server sends, without empty ones. @param {string[]} kinds @param {ViewRules['groups']} groups */
export function groupKinds(kinds, groups) {
  return groups
    .map(({ title, kinds: members }) => ({ title, kinds: members.filter((kind) => kinds.includes(kind)) }))
    .filter(({ kinds: left }) => left.length > 0);
}

/** Return the display name of a connection. @param {string} kind */
export function kindName(kind) {
  return connections[kind]?.name ?? nameOf(kind);
}

/** List the leaves of the schema in order. @param {any} schema @returns {Map<string, Field>} */
export function toFields(schema) {
  /** @type {Map<string, Field>} */
  const fields = new Map();
  for (const [name, property] of Object.entries(schema.properties)) {
    const part = resolveRef(schema, property);
    if (!part.properties) fields.set(name, toField(name, '', property));
    for (const [leaf, inner] of Object.entries(part.properties ?? {})) {
      fields.set(`${name}.${leaf}`, toField(`${name}.${leaf}`, name, inner));
    }
  }
  return fields;
}

/** Follow the `$ref` of a property into `$defs`; return a property without one as it is. @param {any} schema @param {any} property */
function resolveRef(schema, property) {
  const reference = property.$ref ?? property.allOf?.[0]?.$ref;
  return reference ? schema.$defs[reference.split('/').pop()] : property;
}

/** Convert a property of the spec's JSON Schema to a form field. The keywords `unit`, `control`, `step` and `applies` are not part of JSON Schema; the field is shown if any condition in `applies` holds, by default always. @param {string} path @param {string} group @param {any} property @returns {Field} */
function toField(path, group, property) {
  const isEdits = property.control === EDITS; // a view holds edits as one text
  return {
    path,
    group,
    title: property.title ?? path,
    description: property.description ?? '',
    control: property.control ?? 'number',
    unit: property.unit ?? '',
    type: isEdits ? 'string' : (property.type ?? 'string'),
    initial: isEdits ? '' : property.default,
    options: property.enum ?? (property.const === undefined ? null : [property.const]),
    min: property.minimum ?? property.exclusiveMinimum ?? null,
    is_open: property.exclusiveMinimum !== undefined,
    max: property.maximum ?? property.exclusiveMaximum ?? null,
    step: property.step ?? null,
    applies: property.applies ?? [{}],
  };
}

/** Return whether a field has a single value, so that it needs no control. @param {Field} field */
export function hasSingleValue(field) {
  return (field.min !== null && field.min === field.max) || field.options?.length === 1;
}

/** Return a setting of a run: its own, else the common one, else the default. @param {View} view @param {Choice} choice @param {Field} field @returns {Value} */
export function settingOf(view, choice, field) {
  if (field.path === KIND) return choice.kind;
  return choice.own[field.path] ?? view.base[field.path] ?? field.initial;
}

/** Return whether a field applies to a run. @param {Map<string, Field>} fields @param {View} view @param {Choice} choice @param {Field} field */
export function appliesTo(fields, view, choice, field) {
  if (choice.kind === TRACE) return false;
  return field.applies.some((conditions) =>
    Object.entries(conditions).every(([path, rule]) => {
      const condition = fields.get(path);
      if (!condition) return false;
      const value = settingOf(view, choice, condition);
      return rule === '>0' ? Number(value) > 0 : rule.includes(/** @type {never} */ (value));
    }),
  );
}

/** Return the number of streams of a spec in its canonical form. @param {{connection: {kind: string, streams?: number}}} spec @returns {number} */
export const streamsOf = ({ connection: { kind, streams } }) =>
  connections[kind]?.fixed_streams ?? /** @type {number} */ (streams);

/** Return the stack of a run, which its edits must fit. @param {Map<string, Field>} fields @param {View} view @param {Choice} choice @returns {import('./editlist.js').Stack} */
export function stackOf(fields, view, choice) {
  const numberOf = (/** @type {string} */ path) => {
    const field = fields.get(path);
    return field ? Number(settingOf(view, choice, field)) : 1;
  };
  const {
    has_streams = false,
    has_mixing = true,
    weighs_after = null,
    has_parts = false,
  } = connections[choice.kind] ?? {};
  const streams = has_streams ? numberOf('connection.streams') : 1;
  const form = fields.get('connection.depth_form');
  return {
    depth: numberOf('depth'),
    streams,
    has_streams,
    has_mixing,
    weighs_after,
    has_parts,
    block: numberOf('connection.depth_block'),
    has_full_blocks: form !== undefined && settingOf(view, choice, form) !== 'replace',
  };
}

/** Build the specs of all runs that have one. @param {Map<string, Field>} fields @param {View} view */
export function toSpecs(fields, view) {
  return view.runs.filter((choice) => choice.kind !== TRACE).map((choice) => toSpec(fields, view, choice));
}

/** Build the spec of a run: applicable settings that differ from the default. @param {Map<string, Field>} fields @param {View} view @param {Choice} choice */
export function toSpec(fields, view, choice) {
  /** @type {Record<string, any>} */
  const spec = {};
  for (const field of fields.values()) {
    const value = settingOf(view, choice, field);
    if (field.path !== KIND && value === field.initial) continue;
    if (field.control === EDITS) {
      const edits = toSpecEdits(String(value), stackOf(fields, view, choice));
      if (edits.length > 0) spec[field.path] = edits;
    } else if (appliesTo(fields, view, choice, field)) putSetting(spec, field.path, value);
  }
  return spec;
}

/** Return the view without recordings that have no id, which cannot be loaded; with the default runs if none is left. @param {View} view @param {ViewRules} rules @returns {View} */
export function dropRecordingsWithoutId(view, rules) {
  const runs = view.runs.filter((choice) => choice.kind !== TRACE || choice.trace);
  return { ...view, runs: runs.length > 0 ? runs : defaultView(rules).runs };
}

/** Write a setting into a spec. @param {Record<string, any>} spec @param {string} path @param {Value} value */
function putSetting(spec, path, value) {
  const [part, leaf] = path.split('.');
  if (leaf === undefined) {
    spec[part] = value;
    return;
  }
  spec[part] ??= {};
  spec[part][leaf] = value;
}

/** Build the view of specs (null for a recording): shared settings become common, the others each run's own. @param {Map<string, Field>} fields @param {any[]} specs @returns {View} */
export function fromSpecs(fields, specs) {
  /** @type {View} */
  const view = { base: {}, runs: [], cursor: null };
  const flat = specs.map((spec) => flattenSpec(fields, spec));
  view.runs = flat.map((settings) => ({ kind: String(settings[KIND]), own: {} }));
  for (const field of fields.values()) {
    if (field.path === KIND) continue;
    const where = view.runs.flatMap((choice, index) =>
      appliesTo(fields, { ...view, base: flat[index] }, choice, field) ? [index] : [],
    );
    const values = where.map((index) => flat[index][field.path]);
    if (values.every((value) => value === values[0])) {
      if (values.length > 0 && values[0] !== field.initial) view.base[field.path] = values[0];
    } else {
      for (const index of where) {
        if (flat[index][field.path] !== field.initial) view.runs[index].own[field.path] = flat[index][field.path];
      }
    }
  }
  return view;
}

/** List all settings of a spec by path. @param {Map<string, Field>} fields @param {any} spec @returns {Record<string, Value>} */
export function flattenSpec(fields, spec) {
  if (spec === null) return { [KIND]: TRACE };
  return Object.fromEntries(
    [...fields.values()].map((field) => [field.path, readSetting(spec, field.path) ?? field.initial]),
  );
}

/** Read a setting from a spec; undefined if the spec lacks it. @param {any} spec @param {string} path @returns {Value | undefined} */
export function readSetting(spec, path) {
  const [part, leaf] = path.split('.');
  const value = leaf === undefined ? spec[part] : spec[part]?.[leaf];
  return Array.isArray(value) ? fromSpecEdits(value) : value;
}

/**
 * List the settings in which runs differ, with one value per run; null if it does not apply to the run.
 * @param {Map<string, Field>} fields
 * @param {View} view
 * @returns {{field: Field, values: (Value | null)[]}[]}
 */
export function toDifferences(fields, view) {
  return [...fields.values()]
    .map((field) => ({
      field,
      values: view.runs.map((choice) =>
        appliesTo(fields, view, choice, field) ? settingOf(view, choice, field) : null,
      ),
    }))
    .filter(({ values }) => new Set(values.filter((value) => value !== null)).size > 1);
}

/** Label runs: `A Residual`, `B HC`; runs of one kind with the settings that distinguish them; or with their name, or the model of a recording with the edits that distinguish it. @param {View} view @param {Map<string, Field>} fields @param {ViewRules} rules @param {(string | null)[]} [models] @param {Edit[][]} [recorded] edits of recordings */
export function toLabels(view, fields, rules, models = [], recorded = []) {
  const edited = nameEditsOfModels(models, recorded, distinguishEdits);
  const most = (/** @type {number} */ run) => (edited[run] ? Math.floor(rules.name_length / 2) : rules.name_length);
  const short = models.map((model, run) => model && shortenName(model, most(run)) + edited[run]);
  return buildLabels(view, fields, rules, short, distinguishEdits);
}

/** Label runs as `toLabels` does, with the edits of a run in sentences and the whole name of a model, for tooltips and screen readers. @param {View} view @param {Map<string, Field>} fields @param {ViewRules} rules @param {(string | null)[]} [models] @param {Edit[][]} [recorded] edits of recordings */
export function toFullLabels(view, fields, rules, models = [], recorded = []) {
  const describeAll = (/** @type {Edit[][]} */ runs) => runs.map(describeEdits);
  const edited = nameEditsOfModels(models, recorded, describeAll);
  const full = models.map((model, run) => model && model + edited[run]);
  return buildLabels(view, fields, rules, full, describeAll);
}

/** Name the edits of each recording that differs in them from others of its model, after a space; else ''. Counterpart: `label_sources` of `mhc_core/figures/run_names.py`. @param {(string | null)[]} models @param {Edit[][]} recorded @param {(runs: Edit[][]) => string[]} nameEdits */
function nameEditsOfModels(models, recorded, nameEdits) {
  return models.map((model, run) => {
    const alike = [...models.keys()].filter((other) => models[other] === model);
    const edits = alike.map((other) => recorded[other] ?? []);
    const isSame = new Set(edits.map((own) => JSON.stringify(own))).size === 1;
    return isSame ? '' : ` ${nameEdits(edits)[alike.indexOf(run)]}`;
  });
}

/** Build the labels of the runs of a view, such as `A Residual`. @param {View} view @param {Map<string, Field>} fields @param {ViewRules} rules @param {(string | null)[]} models @param {(runs: Edit[][]) => string[]} nameEdits names the edits of runs that differ in them */
function buildLabels(view, fields, rules, models, nameEdits) {
  const editsOf = (/** @type {Choice} */ choice, /** @type {Field} */ field) =>
    toSpecEdits(String(settingOf(view, choice, field)), stackOf(fields, view, choice));
  return view.runs.map((choice, index) => {
    const alike = view.runs.filter((other) => other.kind === choice.kind);
    const own = findDistinguishing(fields, view, alike).flatMap((field, nth) => {
      if (field.control === EDITS)
        return [nameEdits(alike.map((other) => editsOf(other, field)))[alike.indexOf(choice)]];
      const value = settingOf(view, choice, field);
      return nth > 0 && value === field.initial ? [] : [textOf(field, value)]; // for further settings, omit the default
    });
    const name = choice.name ?? models[index];
    const kind = choice.kind === TRACE ? nameOf(TRACE) : rules.connections[choice.kind].name;
    return [rules.letters[index], ...(name ? [name] : [kind, ...own])].join(' ');
  });
}

/** Find the first settings that distinguish all runs. @param {Map<string, Field>} fields @param {View} view @param {Choice[]} runs */
function findDistinguishing(fields, view, runs) {
  const paths = [...new Set(runs.flatMap((choice) => Object.keys(choice.own)))];
  const differing = paths.flatMap((path) => fields.get(path) ?? []).filter((field) => countKinds([field]) > 1);
  const all = countKinds(differing);
  return differing.slice(0, differing.findIndex((_, last) => countKinds(differing.slice(0, last + 1)) === all) + 1);

  /** Count the different combinations of these settings. @param {Field[]} by */
  function countKinds(by) {
    return new Set(runs.map((choice) => JSON.stringify(by.map((field) => settingOf(view, choice, field))))).size;
  }
}

/** Return a field's title for use within a sentence: names and abbreviations keep their capitals. @param {Field} field */
export function titleInSentence({ title }) {
  return /^[A-Z]{2}|^Sinkhorn|^Jacobian/.test(title) ? title : title.charAt(0).toLowerCase() + title.slice(1);
}

/**
 * List the values at which a slider stops: every step if there are few, else 16 to 32 per octave.
 * @param {number} min
 * @param {number} max
 * @param {number} step
 */
export function toStops(min, max, step) {
  const stops = [];
  const count = Math.round((max - min) / step);
  const start = Math.round(min / step);
  const few = count <= 128;
  for (let index = start; index < start + count; ) {
    stops.push(roundStop(index * step));
    index += few ? 1 : 2 ** Math.max(0, Math.floor(Math.log2(Math.abs(index) / 16)));
  }
  return [...stops, max];
}

/** Ends of slider tracks; larger values can be typed. Rarely used values would take most of the track. @type {Record<string, number>} */
const TRACK_ENDS = { 'connection.noise': 1 };

/** List the values at which a field's slider stops. @param {Field} field */
export function stopsOf({ path, min, max, step }) {
  const end = max ?? 1;
  return writtenStops[path] ?? toStops(min ?? 0, Math.min(end, TRACK_ENDS[path] ?? end), step ?? 1);
}

const DEEPER = 2; // twice the depth takes twice the time, so the run arrives before the drag reaches it

/** Choose the depth of a prefetch: the first stop at least twice as deep, or the last one; null if none is deeper. @param {number[]} stops @param {number} depth */
export function chooseDepth(stops, depth) {
  const deeper = stops.filter((stop) => stop > depth);
  return deeper.find((stop) => stop >= DEEPER * depth) ?? deeper.at(-1) ?? null;
}

/** Remove rounding errors of a slider's stop, such as in 0.1 + 0.2. @param {number} value */
function roundStop(value) {
  return Number(value.toPrecision(12));
}

/** Find the index of the stop nearest to a value. @param {number[]} stops @param {number} value */
export function nearestStop(stops, value) {
  let best = 0;
  stops.forEach((stop, index) => {
    if (Math.abs(stop - value) < Math.abs(stops[best] - value)) best = index;
  });
  return best;
}

/** Return whether two views have the same runs; false if one has recordings. @param {Map<string, Field>} fields @param {View} one @param {View} other @param {string | null} [path] a field that may differ */
export function haveSameSpecs(fields, one, other, path = null) {
  const [ours, theirs] = [one, other].map((view) =>
    toSpecs(fields, view).map((spec) => JSON.stringify(withoutSetting(spec, path))),
  );
  return one.runs.length === ours.length && ours.join('\n') === theirs.join('\n');
}

/** Return a spec without one of its settings. @param {Record<string, any>} spec @param {string | null} path */
function withoutSetting(spec, path) {
  const [part, leaf] = path?.split('.') ?? [];
  if (!part || !spec[part]) return spec;
  const { [leaf]: _, ...rest } = spec[part];
  return { ...spec, [part]: rest };
}
