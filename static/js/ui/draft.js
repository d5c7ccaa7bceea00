/** What is being typed and not yet entered. */

import { useState } from 'preact/hooks';

/** Props of an input that keeps what is being typed: without them, whatever draws the input anew would take it away.
 * @template {string | number | boolean} Value
 * @param {Value} value what is entered @param {(event: any) => void} enter */
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
