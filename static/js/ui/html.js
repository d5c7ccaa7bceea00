/** Markup in template strings. */

import htm from 'htm';
import { h } from 'preact';

/** @type {(strings: TemplateStringsArray, ...values: any[]) => any} */
export const html = htm.bind(/** @type {any} */ (h));

/**
 * A component that is rendered anew only where one of its props is another, or a signal that it reads. A hand on a slider renders the page
 * in every frame, most of which stays as it is.
 * @template {(props: any) => any} Part
 * @param {Part} Component
 * @returns {Part}
 */
export function still(Component) {
  /** @this {any} @param {Record<string, unknown>} props */
  function Still(props) {
    this.shouldComponentUpdate = (/** @type {Record<string, unknown>} */ next) => differ(this.props, next);
    return h(Component, props);
  }
  return /** @type {any} */ (Still);
}

/** @param {Record<string, unknown>} before @param {Record<string, unknown>} now */
function differ(before, now) {
  return [...new Set([...Object.keys(before), ...Object.keys(now)])].some((name) => before[name] !== now[name]);
}
