/**
 * Answers requests from static files written by `mhc-scope site`. The responses have the form of the server's, so that other modules do
 * not depend on their origin. For a run that is not among the files it reports `unstarted` and sends a related run, from which `instant`
 * derives at least the gains.
 */

import { ROOT } from './sent.js';

/** @typedef {Record<string, any>} Spec a spec as the page sends it: settings that differ from the default */
/** @typedef {{id: string, spec: Spec | null, is_current: boolean, depth: number, cost: any}} Entry */

/** Requests answered by a file in `api/`. @type {Record<string, string>} */
const FILES = {
  '/schema': 'schema',
  '/presets': 'presets',
  '/presets/previews': 'previews',
  '/metrics-catalogue': 'metrics',
  '/costs/paper': 'paper-costs',
};
const ABSENT = { title: 'This page has no server', detail: 'Run mhc-scope serve to compute this.' };

/** Answer a request. @param {string} path below the API root @param {RequestInit} init @returns {Promise<Response>} */
export async function answer(path, { method, body, signal }) {
  const { pathname, searchParams: query } = new URL(path, location.origin);
  if (pathname in FILES) return read(`api/${FILES[pathname]}.json`, signal);
  if (pathname === '/panels') return read(`api/panels-${query.get('runs')}-${query.get('theme')}.json`, signal);
  if (pathname === '/runs/compare') return compare(toSpec(body), query.get('have')?.split(',') ?? [], signal);
  if (pathname === '/runs/events') return stream(query.get('ids')?.split(',') ?? [], signal);
  if (pathname.startsWith('/costs')) return findCosts(toSpec(body), pathname, query.get('theme') ?? 'light');
  const id = /^\/runs\/(\w+)$/.exec(pathname)?.[1];
  return id && method === 'GET' ? describe(id) : refuse(501, ABSENT);
}

/** Parse the body of a request. @param {any} body @returns {any} */
const toSpec = (body) => JSON.parse(body);

/** Fetch a file of the site. @param {string} file @param {AbortSignal | null} [signal] */
const read = (file, signal) => fetch(`${ROOT}/${file}`, { signal });

/** Create a JSON response. @param {any} body */
const respond = (body, status = 200) => Response.json(body, { status });

/** Create a refusal. @param {number} status @param {{title: string, detail: string}} problem */
const refuse = (status, problem) => respond(problem, status);

/** Caches the lists in `api/`. @type {Record<string, Promise<any> | undefined>} */
const lists = {};

/** Read a list in `api/` once. @param {string} name @returns {Promise<any>} */
function readList(name) {
  lists[name] ??= read(`api/${name}.json`).then((answered) => {
    if (!answered.ok) throw new TypeError(`${name}: ${answered.status}`); // callers treat it as a broken connection
    return answered.json();
  });
  lists[name]?.catch(() => (lists[name] = undefined));
  return lists[name];
}

/** Answer a comparison: statuses first, then frames. @param {Spec[]} specs @param {string[]} have ids of complete runs on the page @param {AbortSignal | null} [signal] */
async function compare(specs, have, signal) {
  const entries = /** @type {Entry[]} */ (await readList('runs'));
  const submitted = specs.map((spec) => find(entries, spec));
  const ids = new Set(submitted.map(({ id }) => id).filter((id) => id !== '' && !have.includes(id)));
  return stream([...ids], signal, `event: submitted\ndata: ${JSON.stringify(submitted)}\n\n`);
}

/** Find the run of a spec, or a related run with status `unstarted`. @param {Entry[]} entries @param {Spec} spec */
function find(entries, spec) {
  const known = entries.filter((entry) => entry.is_current && entry.spec !== null);
  const exact = known.find((entry) => toText(entry.spec) === toText(spec));
  if (exact) return { id: exact.id, status: 'done', position: null, cost: exact.cost };
  return { id: findRelated(known, spec)?.id ?? '', status: 'unstarted', position: null, cost: null };
}

/** Find the deepest run that differs only in depth, drift and Sinkhorn rounds; prefer the same drift and rounds. @param {Entry[]} known @param {Spec} spec */
function findRelated(known, spec) {
  const related = known.filter((entry) => toText(withoutMoved(entry.spec)) === toText(withoutMoved(spec)));
  const isSame = (/** @type {Entry} */ entry) => Number(toText(mixingOf(entry.spec)) === toText(mixingOf(spec)));
  return related.sort((one, other) => isSame(other) - isSame(one) || other.depth - one.depth)[0];
}

/** Remove the settings that `instant` can change. @param {Spec | null} spec */
function withoutMoved(spec) {
  const { depth, connection, ...rest } = spec ?? {};
  const { noise, sinkhorn_iters, ...kept } = connection;
  return { ...rest, connection: kept };
}

/** Return drift and Sinkhorn rounds. @param {Spec | null} spec */
const mixingOf = (spec) => [spec?.connection.noise, spec?.connection.sinkhorn_iters];

/** Serialise settings independently of their order. @param {any} value @returns {string} */
function toText(value) {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? '';
  return `{${Object.keys(value)
    .sort()
    .map((key) => `${key}:${toText(value[key])}`)
    .join()}}`;
}

/** Respond with the frames of runs as events. @param {string[]} ids @param {AbortSignal | null} [signal] @param {string} [first] an event before them */
async function stream(ids, signal, first = '') {
  const records = await Promise.all(ids.map((id) => readRecord(id, signal)));
  return new Response(first + records.join(''), { headers: { 'Content-Type': 'text/event-stream' } });
}

/** Read the record of a run as events. @param {string} id @param {AbortSignal | null} [signal] */
async function readRecord(id, signal) {
  const { ok, status, body } = await read(`records/${id}.frames`, signal);
  if (!ok || !body) throw new TypeError(`record ${id}: ${status}`);
  const text = await new Response(body.pipeThrough(new DecompressionStream('gzip'))).text();
  const lines = text.split('\n').filter(Boolean);
  return lines.map((line) => `event: ${JSON.parse(line).type}\ndata: ${line}\n\n`).join('');
}

/** Find the costs of connections for a stack; the drift does not change them. Responds with numbers, a table or a figure. @param {Spec} spec @param {string} pathname @param {string} theme */
async function findCosts(spec, pathname, theme) {
  const known = /** @type {{spec: Spec, costs: any[], csv: string, figures: any}[]} */ (await readList('costs'));
  const toStack = (/** @type {Spec} */ { connection: { noise, ...kept }, ...rest }) =>
    toText({ ...rest, connection: kept });
  const found = known.find((item) => toStack(item.spec) === toStack(spec));
  if (!found) return refuse(501, ABSENT);
  if (pathname === '/costs.csv') return new Response(found.csv, { headers: { 'Content-Type': 'text/csv' } });
  return respond(pathname === '/costs/figure' ? found.figures[theme] : found.costs);
}

/** Answer a request for a run. @param {string} id */
async function describe(id) {
  const found = /** @type {Entry[]} */ (await readList('runs')).find((entry) => entry.id === id);
  if (!found) return refuse(404, { title: 'Not found', detail: `This page has no run ${id}.` });
  return respond({ id, spec: found.spec, status: 'done' });
}
