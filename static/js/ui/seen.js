/** Texts that rest while nobody reads them. */

import { useSignal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { isMoving, textTick } from '../state/signals.js';

/**
 * Return a computed value, which rests while a slider moves: in sight it follows a few times a second, out of sight when the slider rests.
 * @template T
 * @param {{current: Element | null}} outer the element, which must be rendered first
 * @param {() => T} compute reads signals
 * @returns {T}
 */
export function useWhileSeen(outer, compute) {
  const isInSight = useSignal(true);
  const kept = useRef(/** @type {{value: T, tick: number} | null} */ (null));
  useLayoutEffect(() => {
    const sight = new IntersectionObserver(([entry]) => {
      isInSight.value = entry.isIntersecting;
    });
    sight.observe(/** @type {Element} */ (outer.current));
    return () => sight.disconnect();
  }, []);
  const { value: tick } = textTick;
  if (kept.current === null || !isMoving.value || (isInSight.value && kept.current.tick !== tick))
    kept.current = { value: compute(), tick };
  return kept.current.value;
}
