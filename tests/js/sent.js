/** What the server sends to the page. `tests/app/pages/test_sent.py` holds the file equal to it. */

import { readFileSync } from 'node:fs';
import { looks } from '../../static/js/data/dress.js';
import { connections } from '../../static/js/state/view/spec.js';

const sent = JSON.parse(readFileSync(new URL('sent.json', import.meta.url), 'utf8'));

/** Sent with the page: what is known of views. */
export const viewRules = sent.boot;
Object.assign(connections, viewRules.connections);
Object.assign(looks, viewRules.methods);
/** Sent with the templates: how figures are filled. */
export const { rules } = sent;
