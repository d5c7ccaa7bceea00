/** Describes why a setting is refused. No browser here. */

import { appliesTo, settingOf } from './spec.js';

/** @typedef {import('../../types').Field} Field @typedef {import('../../types').View} View */

/** Check a number against its field without the server; return a sentence, empty if valid. @param {Field} field @param {number} value */
export function checkNumber(field, value) {
  const { type, min, max, is_open: isOpen } = field;
  const isLow = min !== null && (isOpen ? value <= min : value < min);
  const isOfType = type !== 'integer' || Number.isInteger(value);
  if (isOfType && !isLow && !(max !== null && value > max)) return '';
  return `${field.title} must be ${type === 'integer' ? 'a whole number' : 'a number'}${describeRange(field)}.`;
}

/** Return whether all numbers among the settings of a run are valid. @param {Map<string, Field>} fields @param {View} view @param {import('../../types').Choice} choice */
export function hasValidNumbers(fields, view, choice) {
  return [...fields.values()].every((field) => {
    const value = settingOf(view, choice, field);
    return typeof value !== 'number' || !appliesTo(fields, view, choice, field) || checkNumber(field, value) === '';
  });
}

/** Describe the bounds of a field, to append to a noun, as in ` from 1 to 64`. @param {Field} field */
export function describeRange({ min, max, is_open: isOpen }) {
  if (min === null && max === null) return '';
  if (min === null) return ` of at most ${max}`;
  if (isOpen) return ` above ${min}${max === null ? '' : `, at most ${max}`}`;
  return max === null ? ` of at least ${min}` : ` from ${min} to ${max}`;
}

/** Join values as `a, b or c`. @param {readonly (string | number | boolean)[]} values */
export const joinOptions = (values) => [values.slice(0, -1).join(', '), values.at(-1)].filter(Boolean).join(' or ');

/** Describe a setting that the server refused. @param {Field | undefined} field @param {{field: string, got: unknown, wanted: string}} error */
export function describeRefusal(field, { field: path, got, wanted }) {
  const title = field?.title ?? path;
  const [, of, total] = wanted.match(/^a divisor of (\w+) (\d+)$/) ?? [];
  if (total)
    return `${title} (${got}) must divide ${of} (${total}). Use ${listDivisors(Number(total), field?.max ?? null)}.`;
  const [, limit, resource] = wanted.match(/^at most (.+) of predicted (\w+)$/) ?? [];
  if (limit)
    return `This run needs about ${String(got).replace(' predicted', '')} of ${resource}; this server allows ${limit}.`;
  const plain = wanted
    .replace(/^an integer/, 'a whole number')
    .replace(/^a finite number/, 'a number')
    .replace(/(\d)\.0\b/g, '$1');
  return `${title} must be ${plain}.`;
}

/** List the divisors of a number up to a limit. @param {number} total @param {number | null} most */
function listDivisors(total, most) {
  const all = [];
  for (let divisor = 1; divisor <= total; divisor++)
    if (total % divisor === 0 && (most === null || divisor <= most)) all.push(String(divisor));
  return joinOptions(all);
}
