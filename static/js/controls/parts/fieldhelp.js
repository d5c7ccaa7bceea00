/** The "?" beside a control: what its setting means, what it may be, and what it is called elsewhere. */

import { nameOf } from '../../state/view/spec.js';
import { html, still } from '../../ui/html.js';
import { Popover } from '../../ui/menu.js';

/** @typedef {import('../../../types').Field} Field */

/** @param {{field: Field, id: string}} props `id` of the words, by which the control itself refers to them */
export const FieldHelp = still(function FieldHelp({ field, id }) {
  return html`
    <${Popover} label=${`${field.title}: what it does`} sign="?" className="icon field-help">
      <h3>${field.title}</h3>
      <p id=${id}>${field.description}</p>
      <p class="hint">${sayRange(field)}In specs: <code>${field.path}</code></p>
    <//>
  `;
});

/** @param {Field} field */
function sayRange({ min, max, unit, initial, options }) {
  const isLong = typeof initial === 'string' && !options;
  const first = isLong ? '' : `At first ${nameOf(initial)}. `;
  if (options) return first;
  const units = unit ? ` ${unit}` : '';
  if (min !== null && max !== null) return `From ${min} to ${max}${units}. ${first}`;
  return min === null ? first : `At least ${min}${units}. ${first}`;
}
