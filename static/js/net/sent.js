/** What the server sent with the page itself, and where the page's server begins. Without a page, as in tests, nothing. */

/** @type {any} */
export const sent = JSON.parse(globalThis.document?.getElementById('boot')?.textContent ?? '{}');

/** False on a page of files that `mhc-scope site` wrote. */
export const hasServer = !sent.site;

/** The path below which a proxy shows this server, or where the files of the page are, such as `/tools/mhc`; empty for none. @type {string} */
export const ROOT = hasServer ? (sent.root ?? '') : new URL(sent.root, location.href).pathname.replace(/\/$/, '');
