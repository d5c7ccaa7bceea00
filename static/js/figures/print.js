/** Paper is white: the page takes its printed form first, then every figure is drawn to fit, in the colours of the light theme. */

import { signal } from '@preact/signals';
import { paper } from '../state/look.js';
import * as state from '../state/signals.js';
import { drawAll } from './boxes.js';

const { classList } = document.documentElement;
export const isPrinting = signal(false);
/** The screen's templates while paper has its own. */
let onScreen = state.templates.peek();

export function followPrint() {
  const print = matchMedia('print');
  addEventListener('beforeprint', enter);
  addEventListener('afterprint', leave);
  print.addEventListener('change', () => (print.matches ? enter() : leave())); // where the printed form is only looked at
}

/** How many runs templates are for. @param {import('../../types').Templates | null} templates */
function countRuns(templates) {
  return templates && new Set(templates.panels[0].figure.data.map((trace) => trace.meta.run)).size;
}

function enter() {
  if (classList.contains('printing')) return;
  classList.add('printing');
  isPrinting.value = true;
  onScreen = state.templates.peek();
  if (paper.value && countRuns(paper.value) === countRuns(onScreen)) state.templates.value = paper.value;
  queueMicrotask(drawAll); // behind the one in which the cards take the templates, and before the page is laid out
}

function leave() {
  if (!classList.contains('printing')) return;
  classList.remove('printing');
  isPrinting.value = false;
  state.templates.value = onScreen;
  queueMicrotask(drawAll); // no observer has seen the size change and change back
}
