/** All runs of the page on one connection: six EventSources would block the server's address on HTTP/1.1. */

import { eventsUrl } from './api.js';

/** @typedef {import('../types').Frame} Frame */

const TYPES = ['start', 'forward', 'similarity', 'loss', 'backward', 'mixing', 'step', 'progress', 'bands', 'summary', 'end'];
const REOPEN_MS = 1000;

/**
 * Follow runs until all have ended or the signal aborts. A lost connection resumes behind the last frame seen.
 * @param {string[]} ids
 * @param {{onFrame: (frame: Frame) => void, onStatus: (status: any) => void, onConnection: (isUp: boolean) => void}} handlers
 * @param {AbortSignal} signal
 */
export function followRuns(ids, handlers, signal) {
  const last = new Map(ids.map((id) => [id, -1]));
  const open = new Set(ids);
  /** @type {EventSource} */
  let source;

  /** @param {MessageEvent<string>} event */
  function take(event) {
    const frame = JSON.parse(event.data);
    if (frame.index <= (last.get(frame.run) ?? -1)) return;
    last.set(frame.run, frame.index);
    handlers.onFrame(frame);
    if (frame.type === 'end') open.delete(frame.run);
    if (open.size === 0) source.close(); // or EventSource would come back for more
  }

  function connect() {
    if (signal.aborted) return;
    source = new EventSource(eventsUrl(ids, ids.map((id) => last.get(id) ?? -1)));
    for (const type of TYPES) source.addEventListener(type, take);
    source.addEventListener('status', (event) => handlers.onStatus(JSON.parse(event.data)));
    source.addEventListener('open', () => handlers.onConnection(true));
    source.addEventListener('error', () => {
      if (open.size === 0 || signal.aborted) return;
      handlers.onConnection(false);
      // While it is CONNECTING the browser comes back by itself; once CLOSED, after an error answer, it does not.
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, REOPEN_MS);
    });
  }

  signal.addEventListener('abort', () => source.close(), { once: true });
  connect();
}
