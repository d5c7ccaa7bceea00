/** Data that the server sends with the page. */

import { looks } from '../figures/dress.js';
import { hasServer, sent } from '../net/sent.js';
import { editRules } from './editlist.js';
import { connections, writtenStops } from './spec.js';

export const boot = /** @type {import('../../types').Boot} */ (sent);
Object.assign(connections, boot.rules.connections);
Object.assign(editRules, boot.rules.edits);
Object.assign(looks, boot.rules.methods);
Object.assign(writtenStops, boot.site?.grid);
// Without a server, a snapshot's address depends on where the files are hosted.
if (!hasServer && boot.snapshot) boot.snapshot.url = location.pathname;
