/** Menus, popovers and dialogs, built on the browser's `popover` and `dialog`, which handle focus and Escape. */

import { useId, useLayoutEffect, useRef } from 'preact/hooks';
import { copyText } from './clipboard.js';
import { html, memo } from './html.js';

/** Place a panel next to its button, within the window. @param {HTMLElement} button @param {HTMLElement} panel */
function placeNextTo(button, panel) {
  const anchor = button.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = panel;
  const left = Math.max(8, Math.min(anchor.right - width, innerWidth - width - 8));
  const isBelow = anchor.bottom + height + 12 < innerHeight || anchor.top < height + 12;
  const top = Math.min(isBelow ? anchor.bottom + 6 : anchor.top - height - 6, innerHeight - height - 8);
  panel.style.setProperty('left', `${left}px`);
  panel.style.setProperty('top', `${Math.max(8, top)}px`);
}

/** Render a button that opens a panel next to it. @param {{label: string, sign: any, className?: string, children?: any}} props */
export function Popover({ label, sign, className = 'icon', children }) {
  const id = useId();
  const button = useRef(/** @type {HTMLButtonElement | null} */ (null));
  // The size is known only after opening, and the event comes later: the panel stays invisible until it is placed.
  const onBefore = (/** @type {any} */ { currentTarget: panel, newState }) =>
    panel.classList.toggle('unplaced', newState === 'open');
  const onToggle = (/** @type {any} */ { currentTarget: panel, newState }) => {
    if (newState === 'open' && button.current) placeNextTo(button.current, panel);
    panel.classList.remove('unplaced');
  };
  return html`
    <button type="button" ref=${button} class=${className} aria-label=${label} title=${label} popovertarget=${id}>${sign}</button>
    <div popover id=${id} class="popover" onbeforetoggle=${onBefore} ontoggle=${onToggle}>${children}</div>
  `;
}

/** @typedef {{title: string, note?: string, run: () => void}} Item */

export const Menu = memo((/** @type {{label: string, items: Item[]}} */ { label, items }) => {
  /** Close the menu and run an item. @param {any} event @param {() => void} run */
  const choose = (event, run) => {
    event.currentTarget.closest('[popover]').hidePopover();
    run();
  };
  return html`
    <${Popover} label=${label} sign="⋯">
      <ul class="menu">
        ${items.map(
          (item) => html`
          <li key=${item.title}><button type="button" onClick=${(/** @type {any} */ event) => choose(event, item.run)}>
            ${item.title}${item.note ? html`<small>${item.note}</small>` : null}
          </button></li>
        `,
        )}
      </ul>
    <//>
  `;
});

/** Render a modal dialog. @param {{title: string, isOpen: boolean, onClose: () => void, children?: any}} props */
export function Dialog({ title, isOpen, onClose, children }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useLayoutEffect(() => {
    if (isOpen) dialog.current?.showModal();
    else dialog.current?.close();
  }, [isOpen]);
  // The browser reports in a later task that a dialog closed. By then Forward may have opened it again.
  const onClosed = () => dialog.current?.open || onClose();
  return html`
    <dialog ref=${dialog} aria-label=${title} onClose=${onClosed}>
      <div class="dialog-head"><h2>${title}</h2><button type="button" class="icon" aria-label="Close" onClick=${onClose}>✕</button></div>
      ${isOpen ? children : null}
    </dialog>
  `;
}

/** Render a text with a button that copies it. @param {{text: string, label: string}} props */
export function CopyText({ text, label }) {
  const copy = async (/** @type {any} */ { currentTarget: button }) => {
    button.textContent = await copyText(text);
  };
  return html`
    <div class="copy">
      <pre tabindex="0" role="region" aria-label=${label}>${text}</pre>
      <button type="button" onClick=${copy}>Copy</button>
    </div>
  `;
}
