/** What the server sent with the page itself, and where the page's server begins. Without a page, as in tests, nothing. */

/** @type {any} */
export const sent = JSON.parse(globalThis.document?.getElementById('boot')?.textContent ?? '{}');

/** The path below which a proxy shows this server, such as `/tools/mhc`; empty for none. @type {string} */
export const ROOT = sent.root ?? '';
