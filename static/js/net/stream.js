/** Follows all runs of the page on one connection: browsers open at most six per server. */

import { ApiError, openEvents } from './api.js';

/** @typedef {import('../../types').Frame} Frame @typedef {import('./api.js').EventStream} EventStream @typedef {import('./api.js').ServerEvent} ServerEvent */

const REOPEN_MS = 1000;
/** A connection without data for this long when the page wakes up may be broken. */
const SILENT_MS = 2000;
/** Timeout for opening: the browser may reuse a pooled connection that is broken. */
const OPEN_MS = 4000;
/** A jump of the clock by this much between two one-second ticks means that the computer slept. */
const SLEPT_MS = 5000;

/**
 * Follow runs until all have ended or the signal aborts. A lost connection resumes after the last received frame.
 * @param {string[] | Map<string, number>} records ids, or ids with the index of the last received frame
 * @param {{onFrame: (frame: Frame) => void, onStatus?: (status: any) => void, onConnection?: (isUp: boolean) => void,
 *   onRefused?: () => void}} handlers `onRefused`: the server refused the stream
 * @param {AbortSignal} signal
 * @param {EventStream} [begun] an open stream that starts with the first frame
 * @param {import('./api.js').FrameChoice} [frames] default `result`
 */
export function followRuns(records, handlers, signal, begun, frames = 'result') {
  const last = records instanceof Map ? new Map(records) : new Map(records.map((id) => [id, -1]));
  const ids = [...last.keys()];
  const open = new Set(ids);
  const isOver = () => signal.aborted || open.size === 0;
  /** The stream that is read; data of earlier streams is dropped. @type {EventStream} */
  let stream;
  let receivedAt = Date.now();
  let timer = 0;

  /** Handle one event; drop frames received before. @param {ServerEvent} event */
  function take({ type, data }) {
    if (type === 'status') return handlers.onStatus?.(data);
    if (!open.has(data.run) || data.index <= (last.get(data.run) ?? -1)) return;
    last.set(data.run, data.index);
    if (type === 'end') open.delete(data.run);
    handlers.onFrame(data);
  }

  function connect() {
    stream?.close();
    if (isOver()) return;
    void read(
      openEvents(
        ids,
        ids.map((id) => last.get(id) ?? -1),
        frames,
      ),
    );
  }

  /** Read a stream to its end, and reconnect if runs are open. @param {EventStream} fresh */
  async function read(fresh) {
    stream = fresh;
    receivedAt = Date.now();
    clearTimeout(timer);
    timer = setTimeout(connect, OPEN_MS);
    try {
      for await (const batch of fresh.batches) {
        if (stream !== fresh || signal.aborted) return;
        clearTimeout(timer);
        receivedAt = Date.now();
        handlers.onConnection?.(true);
        batch.forEach(take);
      }
    } catch (error) {
      if (stream !== fresh || signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      if (error.status > 0) handlers.onRefused?.();
    }
    if (stream !== fresh || isOver()) return;
    handlers.onConnection?.(false);
    clearTimeout(timer);
    timer = setTimeout(connect, REOPEN_MS);
  }

  /** Reconnect after sleep or a change of networks: the connection may be broken without an error. */
  function wake() {
    if (document.visibilityState !== 'hidden' && Date.now() - receivedAt >= SILENT_MS) connect();
  }

  let ticked = Date.now();
  const clock = setInterval(() => {
    if (open.size === 0) clearInterval(clock);
    if (Date.now() - ticked > SLEPT_MS) wake();
    ticked = Date.now();
  }, 1000);

  addEventListener('online', wake, { signal });
  document.addEventListener('visibilitychange', wake, { signal });
  document.addEventListener('resume', wake, { signal });
  const stop = () => {
    stream.close();
    clearTimeout(timer);
    clearInterval(clock);
  };
  signal.addEventListener('abort', stop, { once: true });
  if (begun) void read(begun);
  else connect();
}
