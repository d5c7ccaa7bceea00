/** Fills templates as the page does, for `tests/core/figures`: a case as JSON a line on stdin, its figures a line on stdout. */

import { createInterface } from 'node:readline';
import { addFrame, createColumns } from '../../static/js/data/columns.js';
import { withRules } from '../../static/js/data/rules.js';
import { recomputeComposites } from '../../static/js/derived/interval.js';
import { fillDifference } from '../../static/js/figures/difference.js';
import { looks } from '../../static/js/figures/dress.js';
import { fill } from '../../static/js/figures/fill.js';
import { atStep, canShowStep } from '../../static/js/figures/steps.js';

const toPlain = (_, value) =>
  ArrayBuffer.isView(value) ? Array.from(value, (item) => (Number.isNaN(item) ? null : item)) : value;

function toColumns(frames) {
  if (frames === null) return null;
  const columns = createColumns();
  for (const frame of frames) addFrame(columns, frame);
  return columns;
}

for await (const line of createInterface({ input: process.stdin })) {
  const {
    template: bare,
    rules,
    methods,
    runs,
    labels,
    cursors,
    difference = false,
    narrow = false,
    step: wantedStep = null,
  } = JSON.parse(line);
  Object.assign(looks, methods);
  const template = withRules(bare, rules);
  const whole = runs.map(toColumns);
  const step = wantedStep !== null && canShowStep(template, whole.filter(Boolean), wantedStep) ? wantedStep : null;
  const stepped = whole.map((columns) => columns && atStep(columns, step, rules.steps));
  const { interval, composites } = template.layout.meta;
  const results =
    (interval && composites && recomputeComposites(stepped, { first: interval[0], last: interval[1] })) || stepped;
  const draw = difference ? fillDifference : fill;
  const figures = cursors.map((cursor) => draw(template, results, labels, cursor, narrow));
  for (const { layout } of figures) delete layout.meta.rules; // Python's figures have none
  process.stdout.write(`${JSON.stringify(figures, toPlain)}\n`);
}
