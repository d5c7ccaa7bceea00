/** The schema as fields, and a view as specs. No browser here. */

/**
 * @typedef {import('../../../types').Field} Field
 * @typedef {import('../../../types').Value} Value
 * @typedef {import('../../../types').View} View
 * @typedef {import('../../../types').Choice} Choice
 * @typedef {import('../../../types').ViewRules} ViewRules
 */

import { shortenName } from '../../data/labels.js';

export const KIND = 'connection.kind';

/** The kind of a run that is a trace: it has no spec, and so no settings. It is not computed, but read from the record that its id names. */
export const TRACE = 'trace';

/** Names and years of connections by their kind, which the server sends with the page. @type {import('../../../types').ViewRules['connections']} */
export const connections = {};

/** On a page without a server, by path: the values of a setting for which runs were written. @type {Record<string, number[]>} */
export const writtenStops = {};

/** Whether nothing bounds the mixing of a kind of connection. @param {string | null} kind */
export const isFree = (kind) => kind !== null && connections[kind]?.is_free === true;

/** Names of values that capital letters alone do not make readable. @type {Record<string, string>} */
const NAMES = {
  none: 'None',
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
  megatron: 'Megatron',
  deepseek_v4: 'DeepSeek-V4',
  float32: 'float32',
  float64: 'float64',
  bfloat16: 'bfloat16',
  adamw: 'AdamW',
  sgd: 'SGD',
  he: 'He',
  xavier: 'Xavier',
  rezero: 'ReZero',
  skipinit: 'SkipInit',
  deepnorm: 'DeepNorm',
  inv_sqrt_depth: '1/√depth',
  layernorm_scaling: 'LayerNorm scaling',
};

/** The view of a hash that says nothing. @param {ViewRules} rules @returns {View} */
export function defaultView({ kinds }) {
  return { base: {}, runs: kinds.map((kind) => ({ kind, own: {} })), cursor: null };
}

/** @param {Value} value */
export function nameOf(value) {
  const text = String(value);
  return NAMES[text] ?? connections[text]?.name ?? text.charAt(0).toUpperCase() + text.slice(1).replaceAll('_', ' ');
}

/** What a connection is called at the end of a line. @param {string} kind */
export function kindName(kind) {
  return connections[kind]?.name ?? nameOf(kind);
}

/** Every leaf of the schema, in its order. @param {any} schema @returns {Map<string, Field>} */
export function toFields(schema) {
  /** @type {Map<string, Field>} */
  const fields = new Map();
  for (const [name, property] of Object.entries(schema.properties)) {
    const part = resolve(schema, property);
    if (!part.properties) fields.set(name, toField(name, '', property));
    for (const [leaf, inner] of Object.entries(part.properties ?? {})) {
      fields.set(`${name}.${leaf}`, toField(`${name}.${leaf}`, name, inner));
    }
  }
  return fields;
}

/** @param {any} schema @param {any} property */
function resolve(schema, property) {
  const reference = property.$ref ?? property.allOf?.[0]?.$ref;
  return reference ? schema.$defs[reference.split('/').pop()] : property;
}

/** @param {string} path @param {string} group @param {any} property @returns {Field} */
function toField(path, group, property) {
  return {
    path,
    group,
    title: property.title ?? path,
    description: property.description ?? '',
    control: property.control ?? 'number',
    unit: property.unit ?? '',
    type: property.type ?? 'string',
    initial: property.default,
    options: property.enum ?? (property.const === undefined ? null : [property.const]),
    min: property.minimum ?? property.exclusiveMinimum ?? null,
    is_open: property.exclusiveMinimum !== undefined,
    max: property.maximum ?? property.exclusiveMaximum ?? null,
    step: property.step ?? null,
    applies: property.applies ?? [{}],
  };
}

/** A field that can take one value alone needs no control. @param {Field} field */
export function isFixed(field) {
  return (field.min !== null && field.min === field.max) || field.options?.length === 1;
}

/** The setting of one run: its own, else the common one, else the default. @param {View} view @param {Choice} choice @param {Field} field @returns {Value} */
export function settingOf(view, choice, field) {
  if (field.path === KIND) return choice.kind;
  return choice.own[field.path] ?? view.base[field.path] ?? field.initial;
}

/** Whether a field means anything for a run. @param {Map<string, Field>} fields @param {View} view @param {Choice} choice @param {Field} field */
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

/** The specs of a view, of all runs that have one. @param {Map<string, Field>} fields @param {View} view */
export function toSpecs(fields, view) {
  return view.runs.filter((choice) => choice.kind !== TRACE).map((choice) => toSpec(fields, view, choice));
}

/** The spec of one run: non-default settings alone, those that do not apply left out. @param {Map<string, Field>} fields @param {View} view @param {Choice} choice */
export function toSpec(fields, view, choice) {
  /** @type {Record<string, any>} */
  const spec = {};
  for (const field of fields.values()) {
    const value = settingOf(view, choice, field);
    if (field.path !== KIND && value === field.initial) continue;
    if (appliesTo(fields, view, choice, field)) put(spec, field.path, value);
  }
  return spec;
}

/** The view without traces of which no one says which they are; the first view's runs where nothing else is left. @param {View} view @param {ViewRules} rules @returns {View} */
export function withoutUnnamed(view, rules) {
  const runs = view.runs.filter((choice) => choice.kind !== TRACE || choice.trace);
  return { ...view, runs: runs.length > 0 ? runs : defaultView(rules).runs };
}

/** @param {Record<string, any>} spec @param {string} path @param {Value} value */
function put(spec, path, value) {
  const [part, leaf] = path.split('.');
  if (leaf === undefined) {
    spec[part] = value;
    return;
  }
  spec[part] ??= {};
  spec[part][leaf] = value;
}

/** The view whose specs these are, null of a trace: what all share is common, the rest is each one's own. @param {Map<string, Field>} fields @param {any[]} specs @returns {View} */
export function fromSpecs(fields, specs) {
  /** @type {View} */
  const view = { base: {}, runs: [], cursor: null };
  const flat = specs.map((spec) => flatten(fields, spec));
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

/** @param {Map<string, Field>} fields @param {any} spec @returns {Record<string, Value>} */
function flatten(fields, spec) {
  if (spec === null) return { [KIND]: TRACE };
  return Object.fromEntries(
    [...fields.values()].map((field) => {
      const [part, leaf] = field.path.split('.');
      const value = leaf === undefined ? spec[part] : spec[part]?.[leaf];
      return [field.path, value ?? field.initial];
    }),
  );
}

/**
 * The settings in which runs differ, each with one value a run: null where it means nothing for that run.
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

/** `A Residual`, `B HC`; where runs share their kind, what tells them apart as well; a name instead, where there is one, and of a trace that of its model. @param {View} view @param {Map<string, Field>} fields @param {ViewRules} rules @param {(string | null)[]} [models] */
export function toLabels(view, fields, rules, models = []) {
  return view.runs.map((choice, index) => {
    const alike = view.runs.filter((other) => other.kind === choice.kind);
    const own = findTelling(fields, view, alike).flatMap((field, place) => {
      const value = settingOf(view, choice, field);
      return place > 0 && value === field.initial ? [] : [nameOf(value)]; // of two that differ one says so
    });
    const model = models[index];
    const name = choice.name ?? (model ? shortenName(model, rules.name_length) : model);
    const kind = choice.kind === TRACE ? nameOf(TRACE) : rules.connections[choice.kind].name;
    return [rules.letters[index], ...(name ? [name] : [kind, ...own])].join(' ');
  });
}

/** The first settings in which runs differ, as many as it takes to tell them all apart. @param {Map<string, Field>} fields @param {View} view @param {Choice[]} runs */
function findTelling(fields, view, runs) {
  const paths = [...new Set(runs.flatMap((choice) => Object.keys(choice.own)))];
  const differing = paths.flatMap((path) => fields.get(path) ?? []).filter((field) => countKinds([field]) > 1);
  const all = countKinds(differing);
  return differing.slice(0, differing.findIndex((_, last) => countKinds(differing.slice(0, last + 1)) === all) + 1);

  /** @param {Field[]} by how many kinds of runs there are by these settings */
  function countKinds(by) {
    return new Set(runs.map((choice) => JSON.stringify(by.map((field) => settingOf(view, choice, field))))).size;
  }
}

/** A field's title within a sentence: names and abbreviations keep their capitals. @param {Field} field */
export function toInner({ title }) {
  return /^[A-Z]{2}|^Sinkhorn|^Jacobian/.test(title) ? title : title.charAt(0).toLowerCase() + title.slice(1);
}

/**
 * The values that a slider stops at: every step while they are few, then sixteen to thirty-two an octave.
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
    stops.push(tidy(index * step));
    index += few ? 1 : 2 ** Math.max(0, Math.floor(Math.log2(Math.abs(index) / 16)));
  }
  return [...stops, max];
}

/** Where a slider's track ends, though larger values can be typed: what is beyond is rarely wanted, and would leave no room for what is. @type {Record<string, number>} */
const TRACK_ENDS = { 'connection.noise': 1 };

/** The values that a field's slider stops at. @param {Field} field */
export function stopsOf({ path, min, max, step }) {
  const end = max ?? 1;
  return writtenStops[path] ?? toStops(min ?? 0, Math.min(end, TRACK_ENDS[path] ?? end), step ?? 1);
}

/** Without the last bits of 0.1 + 0.2. @param {number} value */
function tidy(value) {
  return Number(value.toPrecision(12));
}

/** @param {number[]} stops @param {number} value */
export function nearestStop(stops, value) {
  let best = 0;
  stops.forEach((stop, index) => {
    if (Math.abs(stop - value) < Math.abs(stops[best] - value)) best = index;
  });
  return best;
}

/** Whether two views have the same runs, traces never. @param {Map<string, Field>} fields @param {View} one @param {View} other @param {string | null} [path] a field that may differ */
export function haveSameSpecs(fields, one, other, path = null) {
  const [ours, theirs] = [one, other].map((view) =>
    toSpecs(fields, view).map((spec) => JSON.stringify(without(spec, path))),
  );
  return one.runs.length === ours.length && ours.join('\n') === theirs.join('\n');
}

/** @param {Record<string, any>} spec @param {string | null} path */
function without(spec, path) {
  const [part, leaf] = path?.split('.') ?? [];
  if (!part || !spec[part]) return spec;
  const { [leaf]: _, ...rest } = spec[part];
  return { ...spec, [part]: rest };
}
