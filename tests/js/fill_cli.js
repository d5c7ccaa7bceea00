/** Fills templates as the page does, for `tests/app/test_panels.py`: cases as JSON on stdin, figures as JSON on stdout. */

import { readFileSync } from 'node:fs';
import { addFrame, createColumns } from '../../static/js/columns.js';
import { fillDifference } from '../../static/js/difference.js';
import { fill } from '../../static/js/fill.js';

const { template, runs, labels, cursors, difference = false } = JSON.parse(readFileSync(0, 'utf8'));
const results = runs.map((frames) => {
  if (frames === null) return null;
  const columns = createColumns();
  for (const frame of frames) addFrame(columns, frame);
  return columns;
});

const toPlain = (_, value) => (ArrayBuffer.isView(value) ? Array.from(value, (item) => (Number.isNaN(item) ? null : item)) : value);
const figures = cursors.flatMap((cursor) => [false, true].map((narrow) => (difference ? fillDifference : fill)(template, results, labels, cursor, narrow)));
process.stdout.write(JSON.stringify(figures, toPlain));
