/** Below a figure: what the traces of the view do not tell of it, and why. */

import { modelOf } from '../data/record.js';
import * as state from '../state/signals.js';
import { html } from '../ui/html.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('../../types').Figure} Figure */

/**
 * What figures of some metrics need that a trace may not have heard: the metrics' keys, one that is there where it was heard, and what is
 * said where it is not.
 * @type {{keys: RegExp, base: string, said: string}[]}
 */
const REASONS = [
  { keys: /loss/, base: 'step_loss', said: 'no loss was heard.' },
  { keys: /grad/, base: 'grad_rms', said: 'no backward pass was heard, so its gradients are not known.' },
  { keys: /^cka$/, base: 'cka', said: 'the similarity of its layers was not measured.' },
  {
    keys: /^(act_rms|cos_|token_cos)/,
    base: 'act_rms',
    said: 'no forward pass was heard, so its signals are not known.',
  },
];

/** @param {{figure: Figure}} props a view's template */
export function Missing({ figure }) {
  state.dataTick.value;
  const reason = REASONS.find(({ keys }) => figure.data.every((trace) => keys.test(trace.meta.key)));
  if (!reason) return null;
  const silent = state.slots.value.filter(({ columns }) => isHeard(columns) && !has(columns, reason.base));
  return silent.map(({ label }) => html`<p class="hint missing">${label}: ${reason.said}</p>`);
}

/** Whether a trace has come so far that what it lacks will not come. @param {Columns} columns */
const isHeard = (columns) => modelOf(columns) !== null && (columns.end !== null || columns.trained > 0);

/** @param {Columns} columns @param {string} key */
const has = ({ layers, matrices, steps }, key) => layers.has(key) || matrices.has(key) || steps.has(key);
