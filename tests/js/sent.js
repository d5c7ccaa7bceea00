/** Data that the server sends to the page. `tests/app/pages/test_sent.py` checks that the file equals it. */

import { readFileSync } from 'node:fs';
import { looks } from '../../static/js/figures/dress.js';
import { editRules } from '../../static/js/state/editlist.js';
import { connections } from '../../static/js/state/spec.js';

const sent = JSON.parse(readFileSync(new URL('sent.json', import.meta.url), 'utf8'));

/** Boot data of the page: rules and known views. */
export const viewRules = sent.boot;
Object.assign(connections, viewRules.connections);
Object.assign(editRules, viewRules.edits);
Object.assign(looks, viewRules.methods);
/** Rules with which the templates of figures are filled. */
export const { rules } = sent;
