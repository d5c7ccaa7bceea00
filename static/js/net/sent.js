/** Data that the server sends with the page, and the root path of the server. Empty without a page, as in tests. */

/** @type {any} */
export const sent = JSON.parse(globalThis.document?.getElementById('boot')?.textContent ?? '{}');

/** Whether the page has a server; false for static files written by `mhc-scope site`. */
export const hasServer = !sent.site;

/** Path prefix of the server behind a proxy, or of the page's files, such as `/tools/mhc`; empty by default. @type {string} */
export const ROOT = hasServer ? (sent.root ?? '') : new URL(sent.root, location.href).pathname.replace(/\/$/, '');
