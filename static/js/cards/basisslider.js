/** The slider of the basis: from the streams as computed to the basis in which every H_res is the identity. */

import { formatValue } from '../data/numbers.js';
import { modelOf, specOf } from '../data/record.js';
import { percentOf } from '../figures/basis.js';
import { slideCardView } from '../state/actions.js';
import * as state from '../state/signals.js';
import { connections } from '../state/spec.js';
import { html } from '../ui/html.js';
import { basisErrors, isVerifiable, VerifyMark } from './verifying.js';

/** @typedef {import('../../types').Panel} Panel */

const DIGITS = 2; // of a difference that is rounding: a power of ten has one less

/** Render the slider, and how far outputs in the two bases differ. @param {{panel: Panel, view: import('../../types').PanelView}} props */
export function BasisSlider({ panel, view }) {
  const percent = Number(percentOf(view.key));
  const slide = (/** @type {any} */ event) => slideCardView(panel, `t${event.target.value}`);
  return html`
    <div class="basis">
      <label for="basis-share">as computed</label>
      <input type="range" id="basis-share" min="0" max="100" step="1" value=${percent} style=${{ '--share': `${percent}%` }}
        aria-label="Basis" aria-valuetext=${describeShare(percent)} onInput=${slide} />
      <span>H_res = identity</span>
      <output for="basis-share">t = ${percent / 100}</output>
    </div>
    <${Differences} />
  `;
}

/** Describe a position of the slider between two bases of the streams. @param {number} percent */
function describeShare(percent) {
  if (percent === 0) return '0, as computed';
  return percent === 100 ? '1, every H_res is the identity' : `${percent / 100} of the way to H_res = identity`;
}

/** Render how far outputs in the two bases differ, of each run as Verify computed it, or the button that computes it. */
function Differences() {
  [state.dataTick.value, state.phase.value];
  const parts = state.slots.value.flatMap((slot) => {
    const streams = slot.columns.start?.streams ?? 1;
    // Of a recording nothing is computed again.
    if (streams === 1 || !isVerifiable(slot) || modelOf(slot.columns) !== null) return [];
    const error = basisErrors.value[slot.id];
    const text =
      error === undefined
        ? html`<${VerifyMark} slot=${slot} />`
        : error === null
          ? `not compared: ${whyNotCompared(slot.columns)}`
          : `differ by ${formatValue(error, null, undefined, DIGITS)}`;
    return [html`<li>${slot.label}: ${text}</li>`];
  });
  if (parts.length === 0) return null;
  return html`<div class="basis-differences"><span title="Largest difference of the outputs at t = 0 and t = 1, over the largest output; computed by Verify in float64">Outputs of both bases</span><ul>${parts}</ul></div>`;
}

/** Say why Verify has compared no outputs of a run in two bases. @param {import('../../types').Columns} columns */
function whyNotCompared(columns) {
  const { connection = {}, edits = [], block = {} } = specOf(columns) ?? {};
  if (!columns.matrices.has('h_res') || connections[connection.kind]?.has_parts) return 'its streams share no basis';
  if (edits.length > 0) return 'the run has edits';
  if (columns.layers.has('gauge_remainder')) return 'mixing differs between tokens';
  if (block.norm_position === 'post') return 'norms after the branches depend on the basis';
  return 'the basis would enlarge rounding too much';
}
