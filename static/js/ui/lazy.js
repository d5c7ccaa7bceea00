/** Loads rarely used components on first use. */

import { useEffect, useState } from 'preact/hooks';
import { notify } from './clipboard.js';
import { html } from './html.js';

/** @typedef {() => any} Component */

/** Render a component once it is first needed, after loading its module. @param {{isWanted: boolean, load: () => Promise<Component>}} props */
export function Lazy({ isWanted, load }) {
  const [Part, setPart] = useState(/** @type {Component | null} */ (null));
  useEffect(() => {
    if (!isWanted || Part) return;
    load().then(
      (found) => setPart(() => found),
      () => notify('This part of the page could not be loaded. Reload the page to try again.'),
    );
  }, [isWanted]);
  return Part ? html`<${Part} />` : null;
}
