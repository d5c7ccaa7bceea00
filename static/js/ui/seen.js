/** Values that rest while nobody sees them. */

import { useSignal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { isMoving } from '../state/signals.js';

/**
 * Return a computed value, which stays the same while a slider moves and the element is out of sight: at each move only what is in sight
 * is rendered.
 * @template T
 * @param {{current: Element | null}} outer the element, which must be rendered first
 * @param {() => T} compute reads signals
 * @returns {T}
 */
export function useWhileSeen(outer, compute) {
  const isInSight = useSignal(true);
  const kept = useRef(/** @type {{value: T} | null} */ (null));
  useLayoutEffect(() => {
    const sight = new IntersectionObserver(([entry]) => {
      isInSight.value = entry.isIntersecting;
    });
    sight.observe(/** @type {Element} */ (outer.current));
    return () => sight.disconnect();
  }, []);
  if (kept.current === null || isInSight.value || !isMoving.value) kept.current = { value: compute() };
  return kept.current.value;
}
