/** Requests to the server, and its refusals. */

import { createParser } from 'eventsource-parser';
import { hasServer, ROOT } from './sent.js';

/** @import { Estimate, FieldError, Snapshot, Submitted, Templates } from '../../types' */
/** @typedef {{type: string, data: any}} ServerEvent */
/**
 * A streamed response: batches of events; the first one is empty and arrives when the server accepts the request. `close` ends it.
 * @typedef {{batches: AsyncGenerator<ServerEvent[], void>, close: () => void}} EventStream
 */

export const API = `${ROOT}/api/v1`;
/** Headers sent with every request; empty unless an add-on sets some. */
export const REQUEST_HEADERS = /** @type {Record<string, string>} */ ({});
/** Identifies the event streams of this page, so that they do not keep a run alive that the page cancels. */
const VIEWER = crypto.getRandomValues(new Uint32Array(4)).join('-');

/** Timeout of a request. A connection may break silently, during sleep or a change of networks; the request is then sent again. */
const ANSWER_MS = 30_000;
/** Timeout of requests that the page needs first and the server answers without computing. */
const READY_MS = 8000;

/** A refusal: problem+json as an exception. */
export class ApiError extends Error {
  /** @param {number} status HTTP status, 0 if the server is unreachable @param {any} problem @param {number | null} retryAfter_s null if a retry is useless */
  constructor(status, problem, retryAfter_s) {
    super(problem.detail ?? problem.title ?? `the server answered ${status}`);
    this.name = 'ApiError';
    this.status = status;
    this.title = String(problem.title ?? 'The server could not answer');
    /** @type {FieldError[]} */
    this.errors = problem.errors ?? [];
    this.retryAfter_s = retryAfter_s;
  }
}

/** Describe a refusal in a sentence; throw any other error. @param {unknown} error */
export function describeError(error) {
  if (!(error instanceof ApiError)) throw error;
  return `${error.title}: ${error.message}`;
}

/**
 * Send a request and return the decoded response. Throws `ApiError` if the server refuses it or is unreachable.
 * @param {string} path
 * @param {{method?: string, body?: unknown, signal?: AbortSignal, limit_ms?: number, key?: string}} [options]
 * @returns {Promise<any>}
 */
export async function call(path, { method = 'GET', body, signal, limit_ms = ANSWER_MS, key } = {}) {
  const limit = AbortSignal.timeout(limit_ms);
  const init = toBody(body);
  if (key) init.headers = { ...init.headers, Authorization: `Bearer ${key}` };
  return (await send(path, { method, ...init, signal: signal ? AbortSignal.any([signal, limit]) : limit })).answer;
}

/** Encode a request body as JSON, with its header. @param {unknown} body @returns {RequestInit} */
function toBody(body) {
  return body === undefined ? {} : { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) };
}

/** Return the body of a server's response, decoded by its content type. @param {Response} response @returns {Promise<any>} */
async function decodeResponse(response) {
  const type = response.headers.get('content-type') ?? '';
  if (/json/.test(type)) return await response.json();
  if (/csv/.test(type)) return await response.text();
  return /octet-stream/.test(type) ? await response.blob() : {};
}

/** Send a request to the server, or to `site.js` without one. @param {string} path @param {RequestInit} init @returns {Promise<{response: Response, answer: any}>} */
async function send(path, init) {
  const { response, answer } = await wrapNetworkErrors(async () => {
    const response = hasServer
      ? await fetch(`${API}${path}`, { ...init, headers: { ...init.headers, ...REQUEST_HEADERS } })
      : await (await import('./site.js')).answer(path, init);
    return { response, answer: await decodeResponse(response) };
  }, init.signal);
  if (response.ok) return { response, answer };
  const retry = response.headers.get('retry-after');
  throw new ApiError(response.status, answer, retry === null ? null : Number(retry));
}

/**
 * Convert errors of a broken connection to an `ApiError` that can be retried; rethrow aborts unchanged. Chromium rejects the reading of a
 * body with an AbortError also where the time ran out: the signal's reason distinguishes the two.
 * @template T
 * @param {() => Promise<T>} request
 * @param {AbortSignal | null} [signal] of the request
 */
async function wrapNetworkErrors(request, signal) {
  try {
    return await request();
  } catch (error) {
    const isBroken = error instanceof TypeError || (error instanceof DOMException && error.name !== 'AbortError');
    throw isBroken || signal?.reason?.name === 'TimeoutError' ? unreachable() : error;
  }
}

const unreachable = () =>
  new ApiError(
    0,
    { title: 'The server cannot be reached', detail: 'Is it running? The page continues when it is back.' },
    2,
  );

/** Open an event stream of a request; the frames are read from it later. @param {string} path @param {RequestInit} [init] @returns {EventStream} */
function openStream(path, init = {}) {
  const ending = new AbortController();
  const limit = setTimeout(() => ending.abort(new DOMException('no answer', 'TimeoutError')), ANSWER_MS);
  async function* readStream() {
    try {
      const headers = { ...init.headers, Accept: 'text/event-stream' };
      const { response } = await send(path, { ...init, headers, signal: ending.signal });
      if (!response.body) throw new ApiError(response.status, { title: 'The server sent no data' }, null);
      yield [];
      const batches = readBatches(response.body);
      for (;;) {
        const { done, value } = await wrapNetworkErrors(() => batches.next(), ending.signal);
        clearTimeout(limit);
        if (done) return;
        yield value;
      }
    } finally {
      clearTimeout(limit);
    }
  }
  const close = () => {
    clearTimeout(limit);
    ending.abort();
  };
  return { batches: readStream(), close };
}

/**
 * Yield the events that each chunk of the response completes, an empty list for a heartbeat. Throws if the connection breaks.
 * @param {ReadableStream<BufferSource>} body
 * @returns {AsyncGenerator<ServerEvent[], void>}
 */
export async function* readBatches(body) {
  /** @type {ServerEvent[]} */
  const events = [];
  const parser = createParser({
    onEvent: ({ event, data }) => void events.push({ type: event ?? 'message', data: JSON.parse(data) }),
    onError(error) {
      throw error;
    },
  });
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    parser.feed(value);
    yield events.splice(0);
  }
}

/**
 * Send a request, and repeat it while the server is unreachable or busy.
 * @template T
 * @param {() => Promise<T>} request
 * @param {(error: ApiError) => boolean} shouldRetry called with every temporary error; returns whether to repeat the request
 * @returns {Promise<T>}
 */
export async function retryWhileBusy(request, shouldRetry) {
  for (;;) {
    try {
      return await request();
    } catch (error) {
      if (!(error instanceof ApiError) || error.retryAfter_s === null || !shouldRetry(error)) throw error;
      await wait(error.retryAfter_s * 1000);
    }
  }
}

/** Wait; throws after the time if it was aborted meanwhile. @param {number} ms @param {AbortSignal} [aborted] */
export async function wait(ms, aborted) {
  await new Promise((resolve) => setTimeout(resolve, ms));
  aborted?.throwIfAborted();
}

/** Fetch the schema of specs. @returns {Promise<any>} */
export const getSchema = () => call('/schema', { limit_ms: READY_MS });
/** Fetch the presets. @returns {Promise<import('../../types').Presets>} */
export const getPresets = () => call('/presets', { limit_ms: READY_MS });
/** Fetch the sketches of presets. @param {AbortSignal} signal @returns {Promise<import('../../types').PresetSketch[]>} */
export const getSketches = async (signal) => (await call('/presets/previews', { signal })).previews;
/** Fetch the templates for a number of runs. @param {number} runs @param {string} theme @returns {Promise<Templates>} */
export const getPanels = (runs, theme) => call(`/panels?runs=${runs}&theme=${theme}`, { limit_ms: READY_MS });
/** Return whether specs differ in seed or input; the server compares such runs only if `mixed` is set. @param {any[]} specs */
export const isMixed = (specs) => new Set(specs.map(({ seed, input }) => JSON.stringify([seed, input]))).size > 1;

/**
 * Start runs and follow them: the status of each run, and a stream with the frames of the runs that the page does not have.
 * @param {any[]} specs
 * @param {number | null} limit_s runs predicted to take longer are not started; null for no limit
 * @param {string[]} have ids of complete runs on this page
 * @param {FrameChoice} [frames]
 * @returns {Promise<{submitted: Submitted[], stream: EventStream}>}
 */
export async function compareRuns(specs, limit_s, have, frames = 'result') {
  const query = new URLSearchParams({ viewer: VIEWER, have: have.join(','), frames });
  if (isMixed(specs)) query.set('mixed', 'true');
  if (limit_s !== null) query.set('limit_s', String(limit_s));
  const { batches, close } = openStream(`/runs/compare?${query}`, { method: 'POST', ...toBody(specs) });
  /** @type {ServerEvent[]} */
  let events = [];
  while (events.length === 0) {
    const { done, value } = await batches.next();
    if (done) throw unreachable();
    events = value;
  }
  const [{ data: submitted }, ...rest] = events;
  async function* continueStream() {
    yield rest;
    yield* batches;
  }
  return { submitted, stream: { batches: continueStream(), close } };
}
/** Fetch spec and status of a run. @param {string} id @returns {Promise<any>} */
export const getRun = (id) => call(`/runs/${encodeURIComponent(id)}`);
/** Fetch a spec that matches a recording, and sentences about settings that the recording lacks. @param {string} id @returns {Promise<{spec: any, unknown: string[]}>} */
export const getTwin = (id) => call(`/runs/${encodeURIComponent(id)}/twin`);
/** Estimate a run that is submitted with others, `together` in total. @param {any} spec @param {number} together @param {AbortSignal} signal @returns {Promise<Estimate>} */
export const estimateRun = (spec, together, signal) =>
  call(`/estimate?together=${together}`, { method: 'POST', body: spec, signal });
/** Fetch the cost of every connection for the stack of a spec. @param {any} spec @param {AbortSignal} signal @returns {Promise<import('../../types').ConnectionCost[]>} */
export const postCosts = (spec, signal) => call('/costs', { method: 'POST', body: spec, signal });
/** Fetch the costs as CSV. @param {any} spec @returns {Promise<string>} */
export const postCostsCsv = (spec) => call('/costs.csv', { method: 'POST', body: spec });
/** Fetch a figure of the overhead of each connection. @param {any} spec @param {string} theme @returns {Promise<import('../../types').Figure>} */
export const postCostsFigure = (spec, theme) => call(`/costs/figure?theme=${theme}`, { method: 'POST', body: spec });
/** Fetch the costs of the paper's models. @param {AbortSignal} signal @returns {Promise<import('../../types').PaperCosts>} */
export const getPaperCosts = (signal) => call('/costs/paper', { signal });
/** Start a verification. @param {string} id @param {AbortSignal} signal @returns {Promise<import('../../types').Verification>} */
export const postVerification = (id, signal) =>
  call(`/runs/${encodeURIComponent(id)}/verify`, { method: 'POST', signal });
/** Fetch a verification. @param {string} id @param {AbortSignal} signal @returns {Promise<import('../../types').Verification>} */
export const getVerification = (id, signal) => call(`/runs/${encodeURIComponent(id)}/verify`, { signal });
/** Request the lens of a run. @param {string} id @param {AbortSignal} signal @returns {Promise<import('../../types').Lens>} */
export const postLens = (id, signal) => call(`/runs/${encodeURIComponent(id)}/lens`, { method: 'POST', signal });
/** Fetch a lens. @param {string} id @param {AbortSignal} signal @returns {Promise<import('../../types').Lens>} */
export const getLens = (id, signal) => call(`/runs/${encodeURIComponent(id)}/lens`, { signal });
/** Cancel a lens. @param {string} id */
export const deleteLens = (id) => call(`/runs/${encodeURIComponent(id)}/lens?viewer=${VIEWER}`, { method: 'DELETE' });
/** Start a run, or find it. @param {any} spec @param {AbortSignal} signal @returns {Promise<import('../../types').Submitted>} */
export const postRun = (spec, signal) => call('/runs', { method: 'POST', body: spec, signal });
/** Start the atlas of a finished run, or find it. @param {string} id @param {AbortSignal} signal @returns {Promise<import('../../types').Atlas>} */
export const postAtlas = (id, signal) => call(toAtlasPath(id), { method: 'POST', signal });
/** Fetch an atlas, or how much of it is done. @param {string} id @param {AbortSignal} signal @returns {Promise<import('../../types').Atlas>} */
export const getAtlas = (id, signal) => call(toAtlasPath(id), { signal });
/** Cancel an atlas. @param {string} id */
export const cancelAtlas = (id) => call(toAtlasPath(id), { method: 'DELETE' });
const toAtlasPath = (/** @type {string} */ id) => `/runs/${encodeURIComponent(id)}/atlas`;
/** Cancel a run, unless others watch it. @param {string} id */
export const cancelRun = (id) => call(`/runs/${encodeURIComponent(id)}?viewer=${VIEWER}`, { method: 'DELETE' });
/** Create a snapshot. @param {{runs: string[], state: string, title: string, note: string, sweep: string | null}} view @returns {Promise<Snapshot & {key: string | null}>} */
export const postSnapshot = (view) => call('/snapshots', { method: 'POST', body: view });
/** Delete a snapshot. @param {string} id @param {string} key received when the snapshot was created */
export const deleteSnapshot = (id, key) => call(`/snapshots/${encodeURIComponent(id)}`, { method: 'DELETE', key });

/** Fetch the catalogue of metrics. @param {AbortSignal} [signal] @returns {Promise<import('../../types').Metric[]>} */
export const getCatalogue = async (signal) => (await call('/metrics-catalogue', { signal })).metrics;

/** Start a sweep. @param {any} body @param {AbortSignal} [signal] @returns {Promise<{id: string, links: import('../../types').SweepLinks}>} */
export const postSweep = (body, signal) => call('/runs/sweep', { method: 'POST', body, signal });
/** Estimate a sweep. @param {any} body @param {AbortSignal} signal @returns {Promise<{runs: number, seconds: number, workers: number}>} */
export const estimateSweep = (body, signal) => call('/runs/sweep/estimate', { method: 'POST', body, signal });
/** Fetch the numbers of a sweep. @param {import('../../types').SweepLinks} links @param {string} metric @param {string} reduce @param {AbortSignal} [signal] @returns {Promise<import('../../types').SweepValues>} */
export const getSweepValues = (links, metric, reduce, signal) =>
  call(`${links.values.slice(API.length)}?${new URLSearchParams({ metric, reduce })}`, { signal });
/** Fetch the figure of a sweep. @param {import('../../types').SweepLinks} links @param {string} metric @param {string} reduce @param {string} theme @param {AbortSignal} [signal] @returns {Promise<import('../../types').Figure>} */
export const getSweepFigure = (links, metric, reduce, theme, signal) =>
  call(`${links.figure.slice(API.length)}?${new URLSearchParams({ metric, reduce, theme })}`, { signal });
/** Cancel a sweep. @param {string} id */
export const cancelSweep = (id) => call(`/runs/sweep/${id}`, { method: 'DELETE' });

/** Which frames of a run are sent: `result` leaves out the training steps of stored runs. @typedef {'all' | 'result' | 'steps'} FrameChoice */

/** Stream the frames of runs after the known ones, by index. @param {string[]} ids @param {number[]} after @param {FrameChoice} frames @returns {EventStream} */
export function openEvents(ids, after, frames) {
  const query = after.some((index) => index >= 0) ? `&after=${after.join(',')}` : '';
  return openStream(`/runs/events?ids=${ids.join(',')}&viewer=${VIEWER}&frames=${frames}${query}`);
}
