/** A term with its definition: on hover, on tap and for screen readers. */

import { useId, useRef } from 'preact/hooks';
import { GLOSSARY } from '../data/glossary.js';
import { html } from './html.js';

const GAP_PX = 6;
const MARGIN_PX = 8;

/**
 * Marks a term of the glossary, whatever words name it in the text. It takes no tab stop, as a text has many terms: Help lists all of them for
 * those who do not hover. A tap focuses it. Screen readers read the definition as the description of the term.
 * @param {{name: string, children?: any}} props
 */
export function Term({ name, children }) {
  const id = useId();
  const term = useRef(/** @type {HTMLElement | null} */ (null));
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const definition = GLOSSARY[name];
  if (definition === undefined) throw new Error(`the glossary has no ${name}`);
  const show = () => {
    if (!term.current || !box.current || box.current.matches(':popover-open')) return;
    box.current.showPopover();
    place(box.current, term.current);
  };
  const hide = () => box.current?.matches(':popover-open') && box.current.hidePopover();
  const onKeyDown = (/** @type {KeyboardEvent} */ { key }) => key === 'Escape' && hide();
  return html`<dfn class="term" ref=${term} tabindex="-1" aria-describedby=${id} onMouseEnter=${show} onMouseLeave=${hide}
    onFocus=${show} onBlur=${hide} onKeyDown=${onKeyDown}>${children ?? name}<span class="popover term-definition" popover="manual" role="tooltip" id=${id} ref=${box}>${definition}</span></dfn>`;
}

/** Below the term, or above it where there is no room, inside the window. @param {HTMLElement} box @param {HTMLElement} term */
function place(box, term) {
  const { left, top, bottom } = term.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = box;
  const isBelow = bottom + GAP_PX + height < innerHeight;
  box.style.setProperty('left', `${Math.max(MARGIN_PX, Math.min(left, innerWidth - width - MARGIN_PX))}px`);
  box.style.setProperty('top', `${isBelow ? bottom + GAP_PX : Math.max(MARGIN_PX, top - GAP_PX - height)}px`);
}

/** All terms with their definitions. */
export function Terms() {
  return html`
    <dl class="terms">
      ${Object.entries(GLOSSARY).map(([name, definition]) => html`<div key=${name}><dt>${name}</dt><dd>${definition}</dd></div>`)}
    </dl>
  `;
}
