/** What the server sent with the page itself. */

import { looks } from '../lines/dress.js';
import { sent } from '../net/sent.js';
import { connections } from './view/spec.js';

export const boot = /** @type {import('../../types').Boot} */ (sent);
Object.assign(connections, boot.rules.connections);
Object.assign(looks, boot.rules.methods);
