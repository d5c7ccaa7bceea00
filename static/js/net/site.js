/**
 * Answers requests from static files written by `mhc-scope site`. The responses have the form of the server's, so that other modules do
 * not depend on their origin. For a run that is not among the files it reports `unstarted` and sends a related run, from which `derived`
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

/** Answer a request to the API from the files of a static site; 501 for what needs a server. @param {string} path below the API root @param {RequestInit & {body?: any}} init @returns {Promise<Response>} */
export async function answer(path, { method, body, signal }) {
  const { pathname, searchParams: query } = new URL(path, location.origin);
  if (pathname in FILES) return fetchFile(`api/${FILES[pathname]}.json`, signal);
  if (pathname === '/panels') return fetchFile(`api/panels-${query.get('runs')}-${query.get('theme')}.json`, signal);
  if (pathname === '/runs/compare')
    return answerComparison(JSON.parse(body), query.get('have')?.split(',') ?? [], signal);
  if (pathname === '/runs/events') return answerStream(query.get('ids')?.split(',') ?? [], signal);
  if (pathname.startsWith('/costs')) return findCosts(JSON.parse(body), pathname, query.get('theme') ?? 'light');
  const id = /^\/runs\/(\w+)$/.exec(pathname)?.[1];
  return id && method === 'GET' ? answerRun(id) : Response.json(ABSENT, { status: 501 });
}

/** Fetch a file of the site. @param {string} file @param {AbortSignal | null} [signal] */
const fetchFile = (file, signal) => fetch(`${ROOT}/${file}`, { signal });

/** Caches the lists in `api/`. @type {Record<string, Promise<any> | undefined>} */
const lists = {};

/** Fetch a list of the static site, once. @param {string} name @returns {Promise<any>} */
function readList(name) {
  lists[name] ??= fetchFile(`api/${name}.json`).then((answered) => {
    if (!answered.ok) throw new TypeError(`${name}: ${answered.status}`); // callers treat it as a broken connection
    return answered.json();
  });
  lists[name]?.catch(() => (lists[name] = undefined));
  return lists[name];
}

/** Answer a request for several runs from files, as the server would: statuses first, then frames. @param {Spec[]} specs @param {string[]} have ids of complete runs on the page @param {AbortSignal | null} [signal] */
async function answerComparison(specs, have, signal) {
  const entries = /** @type {Entry[]} */ (await readList('runs'));
  const submitted = specs.map((spec) => findRun(entries, spec));
  const ids = new Set(submitted.map(({ id }) => id).filter((id) => id !== '' && !have.includes(id)));
  return answerStream([...ids], signal, `event: submitted\ndata: ${JSON.stringify(submitted)}\n\n`);
}

/** Find the run of a spec, or a related run with status `unstarted`. @param {Entry[]} entries @param {Spec} spec */
function findRun(entries, spec) {
  const known = entries.filter((entry) => entry.is_current && entry.spec !== null);
  const exact = known.find((entry) => toSettingsKey(entry.spec) === toSettingsKey(spec));
  if (exact) return { id: exact.id, status: 'done', position: null, cost: exact.cost };
  return { id: findRelated(known, spec)?.id ?? '', status: 'unstarted', position: null, cost: null };
}

/** Find the deepest run that differs only in depth, drift and Sinkhorn rounds; prefer the same drift and rounds. @param {Entry[]} known @param {Spec} spec */
function findRelated(known, spec) {
  const related = known.filter(
    (entry) => toSettingsKey(withoutMoved(entry.spec)) === toSettingsKey(withoutMoved(spec)),
  );
  const isSame = (/** @type {Entry} */ entry) =>
    Number(toSettingsKey(mixingOf(entry.spec)) === toSettingsKey(mixingOf(spec)));
  return related.sort((one, other) => isSame(other) - isSame(one) || other.depth - one.depth)[0];
}

/** Return a spec without the settings that the page can change without a server, as `js/derived` does. @param {Spec | null} spec */
function withoutMoved(spec) {
  const { depth, connection, ...rest } = spec ?? {};
  const { noise, sinkhorn_iters, ...kept } = connection;
  return { ...rest, connection: kept };
}

/** Return drift and Sinkhorn rounds. @param {Spec | null} spec */
const mixingOf = (spec) => [spec?.connection.noise, spec?.connection.sinkhorn_iters];

/** Return a text that identifies settings independently of their order, to find their run among the files. @param {any} value @returns {string} */
function toSettingsKey(value) {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? '';
  return `{${Object.keys(value)
    .sort()
    .map((key) => `${key}:${toSettingsKey(value[key])}`)
    .join()}}`;
}

/** Respond with the frames of runs as events. @param {string[]} ids @param {AbortSignal | null} [signal] @param {string} [first] an event before them */
async function answerStream(ids, signal, first = '') {
  const records = await Promise.all(ids.map((id) => readRecord(id, signal)));
  return new Response(first + records.join(''), { headers: { 'Content-Type': 'text/event-stream' } });
}

/** Read the record of a run as events. @param {string} id @param {AbortSignal | null} [signal] */
async function readRecord(id, signal) {
  const { ok, status, body } = await fetchFile(`records/${id}.frames`, signal);
  if (!ok || !body) throw new TypeError(`record ${id}: ${status}`);
  const text = await new Response(body.pipeThrough(new DecompressionStream('gzip'))).text();
  const lines = text.split('\n').filter(Boolean);
  return lines.map((line) => `event: ${JSON.parse(line).type}\ndata: ${line}\n\n`).join('');
}

/** Find the costs of connections for a stack; the drift does not change them. Responds with numbers, a table or a figure. @param {Spec} spec @param {string} pathname @param {string} theme */
async function findCosts(spec, pathname, theme) {
  const known = /** @type {{spec: Spec, costs: any[], csv: string, figures: any}[]} */ (await readList('costs'));
  const toStack = (/** @type {Spec} */ { connection: { noise, ...kept }, ...rest }) =>
    toSettingsKey({ ...rest, connection: kept });
  const found = known.find((item) => toStack(item.spec) === toStack(spec));
  if (!found) return Response.json(ABSENT, { status: 501 });
  if (pathname === '/costs.csv') return new Response(found.csv, { headers: { 'Content-Type': 'text/csv' } });
  return Response.json(pathname === '/costs/figure' ? found.figures[theme] : found.costs);
}

/** Answer a request for the spec and status of a run; 404 if the site lacks the run. @param {string} id */
async function answerRun(id) {
  const found = /** @type {Entry[]} */ (await readList('runs')).find((entry) => entry.id === id);
  if (!found) return Response.json({ title: 'Not found', detail: `This page has no run ${id}.` }, { status: 404 });
  return Response.json({ id, spec: found.spec, status: 'done' });
}
