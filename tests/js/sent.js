/** What the server sends to the page. `tests/app/pages/test_sent.py` holds the file equal to it. */

import { readFileSync } from 'node:fs';
import { connections } from '../../static/js/state/spec.js';

const sent = JSON.parse(readFileSync(new URL('sent.json', import.meta.url), 'utf8'));

/** Sent with the page: what is known of views. */
export const viewRules = sent.boot;
Object.assign(connections, viewRules.connections);
/** Sent with the templates: how figures are filled. */
export const { rules } = sent;
