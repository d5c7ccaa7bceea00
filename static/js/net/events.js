/** Parses server-sent events of a response. An EventSource cannot send a body. */

import { createParser } from 'eventsource-parser';

/** @typedef {{type: string, data: any}} ServerEvent */

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
