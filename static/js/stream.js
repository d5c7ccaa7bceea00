/** All runs of the page on one connection: six EventSources would block the server's address on HTTP/1.1. */

import { eventsUrl } from './api.js';

/** @typedef {import('../types').Frame} Frame */

const TYPES = ['start', 'forward', 'similarity', 'loss', 'backward', 'mixing', 'step', 'progress', 'bands', 'summary', 'end'];
const REOPEN_MS = 1000;
/** Of a connection that has said nothing for so long when its page wakes, nobody knows whether it is still one. */
const SILENT_MS = 2000;
/** And of one that is not up by then: the browser may have put it on a connection that died in its pool. */
const OPEN_MS = 4000;
/** A clock that has jumped this far between two ticks of a second has slept, and its page with it. */
const SLEPT_MS = 5000;

/**
 * Follow runs until all have ended or the signal aborts. A lost connection resumes behind the last frame seen.
 * @param {string[]} ids
 * @param {{onFrame: (frame: Frame) => void, onStatus: (status: any) => void, onConnection: (isUp: boolean) => void,
 *   onRefused: () => void}} handlers `onRefused`: the server has answered with something else than a stream
 * @param {AbortSignal} signal
 */
export function followRuns(ids, handlers, signal) {
  const last = new Map(ids.map((id) => [id, -1]));
  const open = new Set(ids);
  /** @type {EventSource} */
  let source;
  let heard = Date.now();
  let timer = 0;

  /** @param {MessageEvent<string>} event */
  function take(event) {
    heard = Date.now();
    const frame = JSON.parse(event.data);
    if (frame.index <= (last.get(frame.run) ?? -1)) return;
    last.set(frame.run, frame.index);
    handlers.onFrame(frame);
    if (frame.type === 'end') open.delete(frame.run);
    if (open.size > 0) return;
    source.close(); // or EventSource would come back for more
    clearTimeout(timer);
  }

  function connect() {
    if (signal.aborted || open.size === 0) return;
    heard = Date.now();
    clearTimeout(timer);
    timer = setTimeout(insist, OPEN_MS);
    source = new EventSource(eventsUrl(ids, ids.map((id) => last.get(id) ?? -1)));
    for (const type of TYPES) source.addEventListener(type, take);
    source.addEventListener('status', (event) => handlers.onStatus(JSON.parse(event.data)));
    source.addEventListener('open', () => {
      clearTimeout(timer);
      handlers.onConnection(true);
    });
    source.addEventListener('error', () => {
      clearTimeout(timer);
      if (open.size === 0 || signal.aborted) return;
      handlers.onConnection(false);
      // While it is CONNECTING the browser comes back by itself; once CLOSED, after an error answer, it does not.
      if (source.readyState !== EventSource.CLOSED) return;
      handlers.onRefused();
      timer = setTimeout(connect, REOPEN_MS);
    });
  }

  function insist() {
    if (source.readyState === EventSource.OPEN) return;
    source.close();
    connect();
  }

  /** After a sleep, or a change of networks, the other end may be gone and nothing here would ever say so. */
  function wake() {
    if (document.visibilityState === 'hidden' || source.readyState === EventSource.CLOSED || Date.now() - heard < SILENT_MS) return;
    source.close();
    connect();
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
  signal.addEventListener('abort', () => (source.close(), clearTimeout(timer), clearInterval(clock)), { once: true });
  connect();
}
