/**
 * Compresses Plotly, half of what a first visit loads, as small as Brotli can. That takes seconds, so `make setup` does it after
 * `npm ci`, and not the server. It is no `postinstall`, for many machines install with `ignore-scripts`. Without the file the server
 * compresses Plotly itself: faster, and less.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { brotliCompressSync } from 'node:zlib';

// As in app/mhc_scope/pages/vendored.py.
const PATH = new URL('node_modules/plotly.js-cartesian-dist-min/plotly-cartesian.min.js', import.meta.url);

writeFileSync(new URL(`${PATH}.br`), brotliCompressSync(readFileSync(PATH)));
