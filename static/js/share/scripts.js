/** Collects the scripts that a saved file embeds for its sliders: the page's modules and the Plotly library. Counterpart: `app/mhc_scope/document.py`. */

import { toBase64 } from './pack.js';
import { MissingPart } from './paper.js';

/** @typedef {{entry: string, imports: Record<string, string>, plotly: string}} Scripts `imports` maps names to data URLs */

const ENTRY = 'saved.js';
const PREFIX = 'mhc-scope/'; // data URLs cannot contain relative imports
const COMMENT = /\/\*\*.*?\*\//gs; // types in comments name files too
const IMPORT = /(\bfrom ')(\.{1,2}\/[\w./-]+)(')/g;

/** Collect the modules that a saved file needs for its sliders. @returns {Promise<Scripts>} rejects with `MissingPart` if the server does not send one */
export async function collectScripts() {
  const root = new URL('../../source/', import.meta.url); // pages load other forms of these modules
  /** @type {Record<string, string>} */
  const imports = {};
  const addModule = async (/** @type {URL} */ url) => {
    const name = nameIn(root, url);
    if (name in imports) return;
    imports[name] = ''; // loading
    const text = (await fetchText(url)).replaceAll(COMMENT, '');
    const needed = [...text.matchAll(IMPORT)].map((found) => new URL(found[2], url));
    const named = text.replaceAll(
      IMPORT,
      (_, before, path, after) => before + nameIn(root, new URL(path, url)) + after,
    );
    imports[name] = `data:text/javascript;base64,${toBase64(new TextEncoder().encode(named))}`;
    await Promise.all(needed.map(addModule));
  };
  const plotly = new URL(/** @type {HTMLLinkElement} */ (document.getElementById('plotly')).href);
  const [drawing] = await Promise.all([fetchText(plotly), addModule(new URL(ENTRY, root))]);
  return { entry: PREFIX + ENTRY, imports, plotly: drawing };
}

/** Return the import name of a module. @param {URL} root @param {URL} url */
const nameIn = (root, url) => PREFIX + url.href.slice(root.href.length);

/** Fetch the text of a script or style sheet for the saved file. @param {URL} url */
async function fetchText(url) {
  const answer = await fetch(url).catch((/** @type {Error} */ error) => {
    throw new MissingPart(error.message);
  });
  if (!answer.ok) throw new MissingPart(`${url.pathname}: ${answer.status}`);
  return answer.text();
}
