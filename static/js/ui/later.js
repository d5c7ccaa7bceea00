/** A part of the page that few visits need is loaded when it is first wanted, and stays. */

import { useEffect, useState } from 'preact/hooks';
import { notify } from './clipboard.js';
import { html } from './html.js';

/** @typedef {() => any} Component */

/** @param {{isWanted: boolean, load: () => Promise<Component>}} props */
export function Later({ isWanted, load }) {
  const [Part, setPart] = useState(/** @type {Component | null} */ (null));
  useEffect(() => {
    if (!isWanted || Part) return;
    load().then(
      (found) => setPart(() => found),
      () => notify('This part of the page did not come from the server. Reload the page to try again.'),
    );
  }, [isWanted]);
  return Part ? html`<${Part} />` : null;
}
