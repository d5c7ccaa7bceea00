/** Scrolling. */

/** Scroll an element into view; without animation where the user prefers reduced motion. @param {Element} element @param {ScrollBehavior} [behavior] */
export function scrollToElement(element, behavior = 'smooth') {
  const isStill = matchMedia('(prefers-reduced-motion: reduce)').matches;
  element.scrollIntoView({ behavior: isStill ? 'instant' : behavior, block: 'center' });
}
