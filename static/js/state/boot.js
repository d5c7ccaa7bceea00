/** What the server sent with the page itself. */

import { connections } from './spec.js';

export const boot = /** @type {import('../../types').Boot} */ (
  JSON.parse(document.getElementById('boot')?.textContent ?? '{}')
);
Object.assign(connections, boot.rules.connections);
