/** Two inputs for the interval of layers whose mixing is multiplied. */

import { moveInterval } from '../state/actions.js';
import * as state from '../state/signals.js';
import { html } from '../ui/html.js';

/** Render the inputs that choose an interval of layers. */
export function IntervalControl() {
  const { first, last } = state.interval.value;
  return html`
    <div class="interval">
      <${IntervalEnd} id="interval-first" label="from layer" value=${first} onInput=${(/** @type {number} */ layer) => moveInterval({ first: layer })} />
      <${IntervalEnd} id="interval-last" label="to layer" value=${last} onInput=${(/** @type {number} */ layer) => moveInterval({ last: layer })} />
    </div>
  `;
}

/** Render the input of one end of the interval. @param {{id: string, label: string, value: number, onInput: (layer: number) => void}} props layers from 0 */
function IntervalEnd({ id, label, value, onInput }) {
  const onChange = (/** @type {any} */ { target }) => {
    if (target.value !== '' && target.validity.valid) onInput(Number(target.value) - 1);
    else target.value = String(value + 1);
  };
  return html`
    <label for=${id}>${label}</label>
    <input type="number" id=${id} min="1" max=${state.layers.value} step="1" value=${value + 1} onChange=${onChange} />
  `;
}
