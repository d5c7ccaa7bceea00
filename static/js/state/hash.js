/** Encodes a view as the hash of the address, and decodes it: readable `k=v` pairs that differ from the default. No browser here. */

import { EDITS, readEdits, toEditsText } from './editlist.js';
import { describeRange, joinOptions } from './refusals.js';
import { defaultView, KIND, readSetting, settingOf, TRACE } from './spec.js';
import { fromPairs, toPairs } from './sweep.js';
import { isRecordId } from './viewtraces.js';

/** @import { Field, Value, View, ViewRules } from '../../types' */

const VERSION = '1';
/** The hash of the default view. */
export const EMPTY = `v=${VERSION}`;
/** Descriptions of valid values, by the type of a field. @type {Record<string, string>} */
const TYPES = { integer: 'a whole number', number: 'a number', boolean: 'true or false', string: 'a text' };
const CARD = 'view.'; // prefix of a panel's key
/** The sections of the page that `open` lists. */
export const SECTIONS = ['mixing', 'similarity', 'training', 'cost', 'expert'];
const NONE = 'none'; // no section
/** Key that lists the texts that are too long for an address. */
const OMITTED = 'omitted';
/** Largest length of an encoded text in an address: chats and mail programs cut longer addresses. */
export const MAX_TEXT = 2000;
const NUMBERED = /** @type {const} */ ({ layer: 'cursor', step: 'step' });

/**
 * Encode a view: the runs, their common settings, their own settings, and how they are shown. Equal views give equal hashes.
 * @param {View} view
 * @param {ViewRules} rules
 * @returns {string} without the `#`; empty for the default view
 */
export function toHash(view, rules) {
  const { letters, keys } = rules;
  /** @type {[string, string][]} */
  const pairs = [];
  const kinds = view.runs.map((choice) => choice.kind).join(',');
  if (view.preset !== undefined) pairs.push([keys.preset, view.preset]);
  // A preset without `runs` has the preset's runs.
  if (view.preset !== undefined || kinds !== rules.kinds.join(',')) pairs.push(['runs', kinds]);
  for (const [path, value] of sortFields(view.base)) pairs.push([path, String(value)]);
  view.runs.forEach((choice, index) => {
    if (choice.name) pairs.push([`${letters[index]}.${keys.name}`, choice.name]);
    if (choice.trace) pairs.push([`${letters[index]}.${TRACE}`, choice.trace]);
    for (const [path, value] of sortFields(choice.own)) pairs.push([`${letters[index]}.${path}`, String(value)]);
  });
  const long = Object.keys(toLongTexts(view, rules));
  const kept = pairs.filter(([key]) => !long.includes(key));
  return toText([...kept, ...(long.length > 0 ? [pairOf(OMITTED, long.join(','))] : []), ...toLook(view, rules)]);
}

/** Create a pair. @param {string} key @param {string} text @returns {[string, string]} */
const pairOf = (key, text) => [key, text];

/** Return whether a setting is too long for an address. @param {Value} value */
export const isTooLong = (value) => typeof value === 'string' && encodeText(value).length > MAX_TEXT;

/** List the texts that the hash of a view omits, by key; the history state keeps them. @param {View} view @param {ViewRules} rules @returns {Record<string, string>} */
export function toLongTexts(view, { letters }) {
  const own = view.runs.flatMap((choice, run) =>
    Object.entries(choice.own).map(([path, value]) => pairOf(`${letters[run]}.${path}`, String(value))),
  );
  const common = Object.entries(view.base).map(([path, value]) => pairOf(path, String(value)));
  return Object.fromEntries([...common, ...own].filter(([, text]) => isTooLong(text)));
}

/** List the keys of texts that a hash omits. @param {string} hash */
export const omittedIn = (hash) => splitHash(hash).get(OMITTED)?.split(',') ?? [];

/** Find the setting that a key of a hash names. @param {string} key @param {any[]} specs of the runs @param {ViewRules} rules @returns {Value | undefined} */
export function findSetting(key, specs, rules) {
  const own = splitKey(key, rules);
  const path = own?.path ?? key;
  const found = specs.filter((spec, run) => spec && (!own || own.run === run)).map((spec) => readSetting(spec, path));
  return found.find((value) => value !== undefined);
}

/**
 * Encode how a view is shown, without its runs: the hash after the address of a preset.
 * @param {View} view
 * @param {ViewRules} rules
 * @param {View} start the view of the preset
 */
export function toLookHash(view, rules, start) {
  const chosen = Object.entries(view.cards ?? {}).filter(([panel, key]) => start.cards?.[panel] !== key);
  const named = view.runs.flatMap(({ name }, index) =>
    name ? [pairOf(`${rules.letters[index]}.${rules.keys.name}`, name)] : [],
  );
  return toText([...named, ...toLook({ ...view, cards: Object.fromEntries(chosen) }, rules)]);
}

/** Encode pairs of key and text as the hash of an address. @param {[string, string][]} pairs */
function toText(pairs) {
  if (pairs.length === 0) return '';
  return [['v', VERSION], ...pairs].map(([key, value]) => `${key}=${encodeText(value)}`).join('&');
}

/** List the pairs that encode how a view is shown. @param {View} view @param {ViewRules} rules @returns {[string, string][]} */
function toLook(view, rules) {
  /** @type {[string, string][]} */
  const pairs = [];
  if (view.cursor !== null) pairs.push(['layer', String(view.cursor + 1)]);
  if (view.step !== undefined) pairs.push(['step', String(view.step + 1)]);
  if (view.interval) pairs.push(['interval', `${view.interval.first + 1}-${view.interval.last + 1}`]);
  for (const [panel, key] of Object.entries(view.cards ?? {}).sort()) pairs.push([`${CARD}${panel}`, key]);
  if (view.difference) pairs.push(['difference', 'true']);
  if (view.open) pairs.push(['open', view.open.join(',') || NONE]);
  if (view.sweep) pairs.push(...toPairs(view.sweep, rules));
  return pairs;
}

/** Return the preset whose runs a hash shows; undefined if it names no preset, or has its own runs. @param {string} hash @param {ViewRules} rules */
export function presetIn(hash, { keys }) {
  const pairs = splitHash(hash);
  return pairs.has('runs') ? undefined : pairs.get(keys.preset);
}

/** Return the connections in a hash without reading the other keys, which needs the schema; null if none or an unknown one is named. @param {string} hash @param {ViewRules} rules @returns {string[] | null} */
export function kindsIn(hash, { connections, letters }) {
  const kinds = splitHash(hash).get('runs')?.split(',') ?? [];
  const areKnown = kinds.every((kind) => kind === TRACE || kind in connections);
  return areKnown && kinds.length > 0 && kinds.length <= letters.length ? kinds : null;
}

/** Sort settings: those of the whole stack first, then by group. @param {Record<string, Value>} settings @returns {[string, Value][]} */
function sortFields(settings) {
  const rank = (/** @type {string} */ path) => `${path.includes('.') ? 1 : 0}${path}`;
  return Object.entries(settings).sort(([a], [b]) => (rank(a) < rank(b) ? -1 : 1));
}

/**
 * Decode a hash into a view, and list its problems. Numbers out of bounds are clamped. The server checks rules that involve several settings.
 * @param {string} hash with or without the `#`
 * @param {Map<string, Field>} fields
 * @param {ViewRules} rules
 * @param {View} [start] the view that the hash changes; default: the default view
 * @param {Record<string, string>} [texts] texts that the hash omits, by key
 * @returns {{view: View, problems: string[]}}
 */
export function fromHash(hash, fields, rules, start = defaultView(rules), texts = {}) {
  const pairs = withTexts(splitHash(hash), texts);
  const view = structuredClone(start);
  /** @type {string[]} */
  const problems = [];
  const version = pairs.get('v');
  if (version !== undefined && version !== VERSION) problems.push(`v must be ${VERSION}, not ${version}`);
  const runs = pairs.get('runs');
  if (runs !== undefined) view.runs = toRuns(runs, fields, rules, problems) ?? view.runs;
  for (const [key, text] of pairs) {
    if (key === 'v' || key === 'runs' || isSweepKey(key, rules)) continue;
    if (key === rules.keys.preset) view.preset = text;
    else if (splitKey(key, rules)?.path === rules.keys.name) setName(view, key, text, rules, problems);
    else if (splitKey(key, rules)?.path === TRACE) setTrace(view, key, text, rules, problems);
    else if (key === 'layer' || key === 'step') setPlace(view, key, text, problems);
    else if (key === 'interval') setInterval(view, text, problems);
    else if (key === OMITTED) problems.push(...text.split(',').map(describeOmitted));
    else if (key.startsWith(CARD)) view.cards = { ...view.cards, [key.slice(CARD.length)]: text };
    else if (key === 'difference') setDifference(view, text, problems);
    else if (key === 'open') setOpen(view, text, problems);
    else setSetting(view, key, text, fields, rules, problems);
  }
  clampToStack(view, fields, problems);
  const sweep = fromPairs(pairs, fields, view, rules, problems);
  return { view: sweep ? { ...view, sweep } : view, problems };
}

/** Add the omitted texts that are known to the pairs. @param {Map<string, string>} pairs @param {Record<string, string>} texts */
function withTexts(pairs, texts) {
  const omitted = pairs.get(OMITTED)?.split(',') ?? [];
  const missing = omitted.filter((key) => !(key in texts));
  pairs.delete(OMITTED);
  for (const key of omitted) if (key in texts) pairs.set(key, texts[key]);
  return missing.length > 0 ? pairs.set(OMITTED, missing.join(',')) : pairs;
}

/** Describe a text that is missing. @param {string} key */
const describeOmitted = (key) =>
  `${key}: the text is too long for this link, so the default text is used; a snapshot link keeps it`;

/** Split the hash of an address into keys and texts. @param {string} hash */
const splitHash = (hash) => new Map(new URLSearchParams(hash.replace(/^#/, '')));

/** Return whether a key of the hash belongs to the sweep. @param {string} key @param {ViewRules} rules */
function isSweepKey(key, { keys }) {
  return key === keys.map || key.startsWith(`${keys.map}.`);
}

/** Split a key such as `B.depth` into run and path; null for a key of all runs. @param {string} key @param {ViewRules} rules */
function splitKey(key, { letters }) {
  const run = key[1] === '.' ? letters.indexOf(key[0]) : -1;
  return run < 0 ? null : { run, path: key.slice(2) };
}

/** Decode the runs of a view from the hash of an address; null if they are not valid. @param {string} text @param {Map<string, Field>} fields @param {ViewRules} rules @param {string[]} problems */
function toRuns(text, fields, { letters }, problems) {
  const kinds = text.split(',');
  const known = fields.get(KIND)?.options ?? [];
  if (kinds.length <= letters.length && kinds.every((kind) => kind === TRACE || known.includes(kind))) {
    return kinds.map((kind) => ({ kind, own: {} }));
  }
  problems.push(`runs must be 1 to ${letters.length} of ${known.join(', ')}, not ${text || 'empty'}`);
  return null;
}

/** Decode the cursor's layer or step of a hash into a view. @param {View} view @param {keyof typeof NUMBERED} key @param {string} text @param {string[]} problems */
function setPlace(view, key, text, problems) {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1) view[NUMBERED[key]] = number - 1;
  else problems.push(`${key} must be a whole number of at least 1, not ${text}`);
}

/** Decode the interval of a hash into a view. @param {View} view @param {string} text @param {string[]} problems */
function setInterval(view, text, problems) {
  const [first, last] = /^(\d+)-(\d+)$/.test(text) ? text.split('-').map(Number) : [0, 0];
  if (1 <= first && first <= last) view.interval = { first: first - 1, last: last - 1 };
  else problems.push(`interval must be a first and a last layer, such as 5-40, not ${text}`);
}

/** Decode the difference mode of a hash into a view. @param {View} view @param {string} text @param {string[]} problems */
function setDifference(view, text, problems) {
  if (text === 'true') view.difference = true;
  else if (text !== 'false') problems.push(`difference must be true or false, not ${text}`);
}

/** Decode the open sections of a hash into a view. @param {View} view @param {string} text @param {string[]} problems */
function setOpen(view, text, problems) {
  const keys = text === NONE ? [] : text.split(',');
  const unknown = keys.filter((key) => !SECTIONS.includes(key));
  if (unknown.length > 0) problems.push(`open: got ${unknown.join(',')}, wanted ${SECTIONS.join(', ')}`);
  view.open = keys.filter((key) => SECTIONS.includes(key));
}

/** Decode the name of a run of a hash into a view. @param {View} view @param {string} key @param {string} text @param {ViewRules} rules @param {string[]} problems */
function setName(view, key, text, { letters, name_length }, problems) {
  const choice = view.runs[letters.indexOf(key[0])];
  const name = text.trim();
  if (choice && name && name.length <= name_length) choice.name = name;
  else problems.push(choice ? `${key} must have 1 to ${name_length} letters, not “${text}”` : `${key}: no such run`);
}

/** Decode the id of a recording of a hash into a view. @param {View} view @param {string} key @param {string} text @param {ViewRules} rules @param {string[]} problems */
function setTrace(view, key, text, { letters }, problems) {
  const choice = view.runs[letters.indexOf(key[0])];
  if (choice?.kind !== TRACE) problems.push(`${key}: run ${key[0]} is not a recording`);
  else if (isRecordId(text)) choice.trace = text;
  else problems.push(`${key} must be the id of a recording (20 hex digits), not ${text}`);
}

/** Decode one setting of a hash into a view, and list its problem if it is invalid. @param {View} view @param {string} key @param {string} text @param {Map<string, Field>} fields @param {ViewRules} rules @param {string[]} problems */
function setSetting(view, key, text, fields, rules, problems) {
  const own = splitKey(key, rules);
  const path = own?.path ?? key;
  const field = fields.get(path);
  const target = own ? view.runs[own.run]?.own : view.base;
  if (!field || path === KIND || !target) {
    problems.push(`${key}: no such setting`);
    return;
  }
  const value = toValue(text, field);
  if (value === null)
    problems.push(
      `${key} must be ${describeValues(field)}, not ${text}, so ${describeKept(field, own !== null, view)}`,
    );
  else setUnlessDefault(target, field, toBounds(value, field, key, problems), own !== null);
}

/** Describe the valid values of a setting, for a message about an invalid address. @param {Field} field */
function describeValues(field) {
  const { control, options, type } = field;
  if (control === EDITS) return 'written like stream:2:zero:20-39';
  return options ? joinOptions(options) : TYPES[type] + describeRange(field);
}

/** Describe what a view has instead of an invalid setting. @param {Field} field @param {boolean} isOwn whether it is a setting of one run @param {View} view */
function describeKept(field, isOwn, view) {
  if (isOwn || field.control === EDITS) return 'it was left out';
  return `${view.base[field.path] ?? field.initial} is used`;
}

/** Write a setting; remove a common setting that equals the default. @param {Record<string, Value>} target @param {Field} field @param {Value} value @param {boolean} isOwn */
function setUnlessDefault(target, field, value, isOwn) {
  if (isOwn || value !== field.initial) target[field.path] = value;
  else delete target[field.path]; // a preset may have another value
}

/** Clamp a number of a hash to the bounds of its field and report it; use the default below an exclusive bound. @param {Value} value @param {Field} field @param {string} key @param {string[]} problems */
function toBounds(value, field, key, problems) {
  const { min, max, is_open: isOpen } = field;
  if (typeof value !== 'number') return value;
  const [isLow, isHigh] = [min !== null && (isOpen ? value <= min : value < min), max !== null && value > max];
  if (!isLow && !isHigh) return value;
  const taken = /** @type {Value} */ (isHigh ? max : isOpen ? field.initial : min);
  problems.push(`${key} must be ${describeBounds(field)}, so ${value} was changed to ${taken}`);
  return taken;
}

/** Describe the bounds of a field, as in `1 to 64`. @param {Field} field */
function describeBounds({ min, max, is_open: isOpen }) {
  if (min === null) return `at most ${max}`;
  const least = isOpen ? `more than ${min}` : `${min}`;
  return max === null ? `${isOpen ? '' : 'at least '}${least}` : `${least} ${isOpen ? 'and at most' : 'to'} ${max}`;
}

/** Clamp cursor and interval to the deepest run. @param {View} view @param {Map<string, Field>} fields @param {string[]} problems */
function clampToStack(view, fields, problems) {
  const depth = fields.get('depth');
  if (!depth || view.runs.some((choice) => choice.kind === TRACE)) return; // the depth of a recording is known from its frames only
  const layers = Math.max(...view.runs.map((choice) => Number(settingOf(view, choice, depth))));
  if (view.cursor !== null && view.cursor >= layers) {
    problems.push(`layer ${view.cursor + 1} is beyond the deepest run, so it was changed to ${layers}`);
    view.cursor = layers - 1;
  }
  const { interval } = view;
  if (!interval || interval.last < layers) return;
  problems.push(
    `interval ${interval.first + 1}-${interval.last + 1} ends beyond the deepest run, so all ${layers} layers are shown`,
  );
  delete view.interval;
}

/** Parse the value of a setting in a hash; null if it is not valid. @param {string} text @param {Field} field @returns {Value | null} */
function toValue(text, field) {
  if (field.control === EDITS) {
    const edits = readEdits(text);
    return edits && toEditsText(edits);
  }
  if (field.type === 'boolean') return text === 'true' ? true : text === 'false' ? false : null;
  if (field.type === 'string') return field.options && !field.options.includes(text) ? null : text;
  const number = Number(text);
  const fits = text.trim() !== '' && Number.isFinite(number) && (field.type !== 'integer' || Number.isInteger(number));
  return fits ? number : null;
}

/** Encode a text with as few percent signs as possible. @param {string} text */
function encodeText(text) {
  return encodeURIComponent(text).replaceAll('%20', '+').replaceAll('%2C', ',').replaceAll('%3A', ':');
}
