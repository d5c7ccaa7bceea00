/** Server-sent events of an answer, as they come. An EventSource could not send the specs along. */

import { createParser } from 'eventsource-parser';

/** @typedef {{type: string, data: any}} ServerEvent */

/**
 * The events that each piece of the answer completes, none for a heartbeat. Throws what the connection breaks with.
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
