/** A view as the address's hash, and back: readable `k=v`, only what differs from the default. No browser here. */

import { fromPairs, toPairs } from './grid.js';
import { defaultView, KIND, TRACE } from './spec.js';

/**
 * @typedef {import('../../types').Field} Field
 * @typedef {import('../../types').Value} Value
 * @typedef {import('../../types').View} View
 * @typedef {import('../../types').ViewRules} ViewRules
 */

const VERSION = '1';
const CARD = 'view.'; // before a panel's key
const NUMBERED = /** @type {const} */ ({ layer: 'cursor', step: 'step' });

/**
 * The same view always gives the same hash: the runs, what they share, what each has for itself, how it is shown.
 * @param {View} view
 * @param {ViewRules} rules
 * @returns {string} without the `#`; empty for the default view
 */
export function toHash(view, rules) {
  const { letters, keys } = rules;
  const pairs = [];
  const kinds = view.runs.map((choice) => choice.kind).join(',');
  if (kinds !== rules.kinds.join(',')) pairs.push(['runs', kinds]);
  for (const [path, value] of sorted(view.base)) pairs.push([path, String(value)]);
  view.runs.forEach((choice, index) => {
    if (choice.name) pairs.push([`${letters[index]}.${keys.name}`, choice.name]);
    for (const [path, value] of sorted(choice.own)) pairs.push([`${letters[index]}.${path}`, String(value)]);
  });
  if (view.cursor !== null) pairs.push(['layer', String(view.cursor + 1)]);
  if (view.step !== undefined) pairs.push(['step', String(view.step + 1)]);
  if (view.interval) pairs.push(['interval', `${view.interval.first + 1}-${view.interval.last + 1}`]);
  for (const [panel, key] of Object.entries(view.cards ?? {}).sort()) pairs.push([`${CARD}${panel}`, key]);
  if (view.difference) pairs.push(['difference', 'true']);
  if (view.map) pairs.push(...toPairs(view.map, rules));
  if (pairs.length === 0) return '';
  return [['v', VERSION], ...pairs].map(([key, value]) => `${key}=${encode(value)}`).join('&');
}

/** Settings of the whole stack first, then part by part. @param {Record<string, Value>} settings @returns {[string, Value][]} */
function sorted(settings) {
  const rank = (/** @type {string} */ path) => `${path.includes('.') ? 1 : 0}${path}`;
  return Object.entries(settings).sort(([a], [b]) => (rank(a) < rank(b) ? -1 : 1));
}

/**
 * The view of a hash, and what in it could not be read. Bounds are left to the server, which names them.
 * @param {string} hash with or without the `#`
 * @param {Map<string, Field>} fields
 * @param {ViewRules} rules
 * @returns {{view: View, problems: string[]}}
 */
export function fromHash(hash, fields, rules) {
  const pairs = split(hash);
  const view = defaultView(rules);
  /** @type {string[]} */
  const problems = [];
  const version = pairs.get('v');
  if (version !== undefined && version !== VERSION) problems.push(`v: got ${version}, wanted ${VERSION}`);
  const runs = pairs.get('runs');
  if (runs !== undefined) view.runs = toRuns(runs, fields, rules, problems) ?? view.runs;
  for (const [key, text] of pairs) {
    if (key === 'v' || key === 'runs' || isOfMap(key, rules)) continue;
    if (toOwn(key, rules)?.path === rules.keys.name) setName(view, key, text, rules, problems);
    else if (key === 'layer' || key === 'step') setPlace(view, key, text, problems);
    else if (key === 'interval') setInterval(view, text, problems);
    else if (key.startsWith(CARD)) view.cards = { ...view.cards, [key.slice(CARD.length)]: text };
    else if (key === 'difference') setDifference(view, text, problems);
    else setOne(view, key, text, fields, rules, problems);
  }
  const map = fromPairs(pairs, fields, view, rules, problems);
  return { view: map ? { ...view, map } : view, problems };
}

/** @param {string} hash @returns {Map<string, string>} */
function split(hash) {
  const parts = hash.replace(/^#/, '').split('&').filter(Boolean);
  return new Map(
    parts.map((part) => {
      const at = part.indexOf('=');
      return at < 0 ? [part, ''] : [part.slice(0, at), decode(part.slice(at + 1))];
    }),
  );
}

/** @param {string} key @param {ViewRules} rules */
function isOfMap(key, { keys }) {
  return key === keys.map || key.startsWith(`${keys.map}.`);
}

/** What a key such as `B.depth` is of: which run, and what of it; null of one for all runs. @param {string} key @param {ViewRules} rules */
function toOwn(key, { letters }) {
  const run = key[1] === '.' ? letters.indexOf(key[0]) : -1;
  return run < 0 ? null : { run, path: key.slice(2) };
}

/** @param {string} text @param {Map<string, Field>} fields @param {ViewRules} rules @param {string[]} problems */
function toRuns(text, fields, { letters }, problems) {
  const kinds = text.split(',');
  const known = fields.get(KIND)?.options ?? [];
  if (kinds.length <= letters.length && kinds.every((kind) => kind === TRACE || known.includes(kind))) {
    return kinds.map((kind) => ({ kind, own: {} }));
  }
  problems.push(`runs: got ${text}, wanted 1 to ${letters.length} of ${known.join(', ')}`);
  return null;
}

/** @param {View} view @param {keyof typeof NUMBERED} key @param {string} text @param {string[]} problems */
function setPlace(view, key, text, problems) {
  const place = Number(text);
  if (Number.isInteger(place) && place >= 1) view[NUMBERED[key]] = place - 1;
  else problems.push(`${key}: got ${text}, wanted a whole number from 1`);
}

/** @param {View} view @param {string} text @param {string[]} problems */
function setInterval(view, text, problems) {
  const [first, last] = /^(\d+)-(\d+)$/.test(text) ? text.split('-').map(Number) : [0, 0];
  if (1 <= first && first <= last) view.interval = { first: first - 1, last: last - 1 };
  else problems.push(`interval: got ${text}, wanted a first and a last layer, such as 5-40`);
}

/** @param {View} view @param {string} text @param {string[]} problems */
function setDifference(view, text, problems) {
  if (text === 'true') view.difference = true;
  else if (text !== 'false') problems.push(`difference: got ${text}, wanted true or false`);
}

/** @param {View} view @param {string} key @param {string} text @param {ViewRules} rules @param {string[]} problems */
function setName(view, key, text, { letters, name_length }, problems) {
  const choice = view.runs[letters.indexOf(key[0])];
  const name = text.trim();
  if (choice && name && name.length <= name_length) choice.name = name;
  else
    problems.push(choice ? `${key}: got ${text}, wanted 1 to ${name_length} letters` : `${key}: there is no such run`);
}

/** @param {View} view @param {string} key @param {string} text @param {Map<string, Field>} fields @param {ViewRules} rules @param {string[]} problems */
function setOne(view, key, text, fields, rules, problems) {
  const own = toOwn(key, rules);
  const path = own?.path ?? key;
  const field = fields.get(path);
  const target = own ? view.runs[own.run]?.own : view.base;
  if (!field || path === KIND || !target) {
    problems.push(`${key}: this page has no such setting`);
    return;
  }
  const value = toValue(text, field);
  if (value === null)
    problems.push(`${key}: got ${text}, wanted ${field.options?.join(', ') ?? `a value of type ${field.type}`}`);
  else if (own || value !== field.initial) target[path] = value;
}

/** @param {string} text @param {Field} field @returns {Value | null} */
function toValue(text, field) {
  if (field.type === 'boolean') return text === 'true' ? true : text === 'false' ? false : null;
  if (field.type === 'string') return field.options && !field.options.includes(text) ? null : text;
  const number = Number(text);
  const fits = text.trim() !== '' && Number.isFinite(number) && (field.type !== 'integer' || Number.isInteger(number));
  return fits ? number : null;
}

/** Percent signs only where an address needs them. @param {string} text */
function encode(text) {
  return encodeURIComponent(text).replaceAll('%20', '+').replaceAll('%2C', ',');
}

/** @param {string} text */
function decode(text) {
  const spaced = text.replaceAll('+', ' ');
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced; // a lone % that a person typed
  }
}
