/** Escapes text for HTML and XML. */

/** @type {Record<string, string>} */
const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Escape a text for HTML or XML. @param {unknown} text */
export const escapeMarkup = (text) => String(text).replace(/[&<>"']/g, (sign) => ENTITIES[sign]);
