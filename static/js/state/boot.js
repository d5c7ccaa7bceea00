/** What the server sent with the page itself. */

export const boot = /** @type {import('../../types').Boot} */ (
  JSON.parse(document.getElementById('boot')?.textContent ?? '{}')
);
