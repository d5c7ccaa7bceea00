/** Keeps typed text until it is entered. */

import { useState } from 'preact/hooks';

/** Create props of an input that keep typed text; otherwise the next render would discard it.
 * @template {string | number | boolean} Value
 * @param {Value} value the entered value @param {(event: any) => void} enter */
export function useDraft(value, enter) {
  const [draft, setDraft] = useState(/** @type {string | null} */ (null));
  return {
    value: draft ?? value,
    onInput: (/** @type {any} */ event) => setDraft(event.target.value),
    onChange: (/** @type {any} */ event) => {
      setDraft(null);
      enter(event);
    },
  };
}
