/** What a saved file carries so that its sliders work: the page's own modules, and what draws figures. As `app/mhc_scope/offline` does. */

import { toBase64 } from './pack.js';
import { MissingPart } from './paper.js';

/** @typedef {{entry: string, imports: Record<string, string>, plotly: string}} Carried `imports` from names to addresses that hold the text */

const ENTRY = 'saved.js';
const PREFIX = 'mhc-scope/'; // relative names mean nothing in a data: address
const COMMENT = /\/\*\*.*?\*\//gs; // their types name other files as well
const IMPORT = /(\bfrom ')(\.{1,2}\/[\w./-]+)(')/g;

/** @returns {Promise<Carried>} rejected with `MissingPart` where the server does not send a part */
export async function carry() {
  const root = new URL('../', import.meta.url);
  /** @type {Record<string, string>} */
  const imports = {};
  const take = async (/** @type {URL} */ url) => {
    const name = nameIn(root, url);
    if (name in imports) return;
    imports[name] = ''; // on its way
    const text = (await read(url)).replaceAll(COMMENT, '');
    const needed = [...text.matchAll(IMPORT)].map((found) => new URL(found[2], url));
    const named = text.replaceAll(
      IMPORT,
      (_, before, path, after) => before + nameIn(root, new URL(path, url)) + after,
    );
    imports[name] = `data:text/javascript;base64,${toBase64(new TextEncoder().encode(named))}`;
    await Promise.all(needed.map(take));
  };
  const plotly = new URL(/** @type {HTMLLinkElement} */ (document.getElementById('plotly')).href);
  const [drawing] = await Promise.all([read(plotly), take(new URL(ENTRY, root))]);
  return { entry: PREFIX + ENTRY, imports, plotly: drawing };
}

/** @param {URL} root @param {URL} url */
const nameIn = (root, url) => PREFIX + url.href.slice(root.href.length);

/** @param {URL} url */
async function read(url) {
  const answer = await fetch(url).catch((/** @type {Error} */ error) => {
    throw new MissingPart(error.message);
  });
  if (!answer.ok) throw new MissingPart(`${url.pathname}: ${answer.status}`);
  return answer.text();
}
