/** Builds markup from template strings. */

import htm from 'htm';
import { h } from 'preact';

/** @type {(strings: TemplateStringsArray, ...values: any[]) => any} */
export const html = htm.bind(/** @type {any} */ (h));

/**
 * Wrap a component so that it renders only if a prop or a signal that it reads changes. Dragging a slider renders the page in every
 * frame, and most of it stays the same.
 * @template {(props: any) => any} Part
 * @param {Part} Component
 * @returns {Part}
 */
export function memo(Component) {
  /** @this {any} @param {Record<string, unknown>} props */
  function Memoized(props) {
    this.shouldComponentUpdate = (/** @type {Record<string, unknown>} */ next) => haveDifferentProps(this.props, next);
    return h(Component, props);
  }
  return /** @type {any} */ (Memoized);
}

/** Return whether props differ. @param {Record<string, unknown>} before @param {Record<string, unknown>} now */
function haveDifferentProps(before, now) {
  return [...new Set([...Object.keys(before), ...Object.keys(now)])].some((name) => before[name] !== now[name]);
}
