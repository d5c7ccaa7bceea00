/** The "?" next to a control: what the setting means, its range and default, and its name in the API. */

import { nameOf } from '../state/spec.js';
import { html, memo } from '../ui/html.js';
import { Popover } from '../ui/menu.js';

/** @typedef {import('../../types').Field} Field */

/** Render the help. @param {{field: Field, id: string}} props `id` of the text that describes the control */
export const FieldHelp = memo(function FieldHelp({ field, id }) {
  return html`
    <${Popover} label=${`${field.title}: help`} sign="?" className="icon field-help">
      <h3>${field.title}</h3>
      <p id=${id}>${field.description}</p>
      <p class="hint">${[...describeRange(field), `API name: ${field.path}`].join(' · ')}</p>
    <//>
  `;
});

/** Describe range and default of a setting. @param {Field} field */
function describeRange({ min, max, unit, initial, options }) {
  const isLong = typeof initial === 'string' && !options;
  const usual = isLong ? [] : [`Default ${nameOf(initial)}`];
  if (options || min === null) return usual;
  const units = unit ? ` ${unit}` : '';
  return [max === null ? `At least ${min}${units}` : `${min} to ${max}${units}`, ...usual];
}
