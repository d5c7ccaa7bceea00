/**
 * Compresses Plotly, half of what a first visit loads, as small as Brotli can. That takes seconds, so `npm ci` does it and not the
 * server. Without these files, as after `npm ci --ignore-scripts`, the server compresses Plotly itself: faster, and less.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { brotliCompressSync } from 'node:zlib';

// As in app/mhc_scope/pages/vendored.py.
const PATH = new URL('node_modules/plotly.js-cartesian-dist-min/plotly-cartesian.min.js', import.meta.url);

writeFileSync(new URL(`${PATH}.br`), brotliCompressSync(readFileSync(PATH)));
