/** What the server sent with the page itself. */

import { looks } from '../data/dress.js';
import { hasServer, sent } from '../net/sent.js';
import { connections, writtenStops } from './view/spec.js';

export const boot = /** @type {import('../../types').Boot} */ (sent);
Object.assign(connections, boot.rules.connections);
Object.assign(looks, boot.rules.methods);
Object.assign(writtenStops, boot.site?.grid);
// Only the file server knows under which address it shows the page of a stored view.
if (!hasServer && boot.snapshot) boot.snapshot.url = location.pathname;
