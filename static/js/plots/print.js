/** Prepares printing: switches the layout first, then draws every figure to fit, in the light theme. */

import { signal } from '@preact/signals';
import { paper } from '../state/look.js';
import * as state from '../state/signals.js';
import { drawAll } from './boxes.js';

const { classList } = document.documentElement;
export const isPrinting = signal(false);
/** Templates of the screen, restored after printing. */
let onScreen = state.templates.peek();

/** Draw all figures for paper before the browser prints, and for the screen afterwards; runs until the page is closed. */
export function followPrint() {
  const print = matchMedia('print');
  addEventListener('beforeprint', startPrinting);
  addEventListener('afterprint', endPrinting);
  print.addEventListener('change', () => (print.matches ? startPrinting() : endPrinting())); // print emulation sends no print events
}

/** Count the runs for which templates of figures are made. @param {import('../../types').Templates | null} templates */
function countRuns(templates) {
  return templates && new Set(templates.panels[0].figure.data.map((trace) => trace.meta.run)).size;
}

/** Draw all figures in the light theme before the browser prints. */
function startPrinting() {
  if (classList.contains('printing')) return;
  classList.add('printing');
  isPrinting.value = true;
  onScreen = state.templates.peek();
  if (paper.value && countRuns(paper.value) === countRuns(onScreen)) state.templates.value = paper.value;
  queueMicrotask(drawAll); // after the cards take the templates, and before the layout
}

/** Draw all figures for the screen again. */
function endPrinting() {
  if (!classList.contains('printing')) return;
  classList.remove('printing');
  isPrinting.value = false;
  state.templates.value = onScreen;
  queueMicrotask(drawAll); // size observers do not notice a change that is reverted
}
