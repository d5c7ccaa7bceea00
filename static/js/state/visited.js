/** The list of visited views, the latest first: its entries, and which ones are dropped. No browser here. */

/**
 * `key` identifies the runs, independent of how they are shown. `hash` holds the whole view, including what the `url` of a preset or
 * snapshot leaves to the server. `name` and `note` are written by the user, empty by default.
 * @typedef {{key: string, url: string, hash: string, title: string, name: string, note: string, seen: number,
 *   runs: {label: string, headline: string}[]}} Visited
 */

export const KEY = 'views';
export const MAX_VIEWS = 60;

/** Return whether a stored item is a valid entry: another version of the page may have written it. @param {any} item */
export function isVisited(item) {
  const texts = ['key', 'url', 'hash', 'title', 'name', 'note'];
  return (
    texts.every((name) => typeof item?.[name] === 'string') &&
    item.url.startsWith('/') &&
    Number.isFinite(item.seen) &&
    Array.isArray(item.runs) &&
    item.runs.every((/** @type {any} */ run) => typeof run?.label === 'string' && typeof run.headline === 'string')
  );
}

/** Add an entry on top of the list of visited views; an existing entry of the same runs moves up and keeps name and note. @param {Visited[]} views @param {Visited} seen @returns {Visited[]} */
export function addView(views, seen) {
  const known = views.find((item) => item.key === seen.key);
  const words = known ? { name: known.name, note: known.note } : {};
  return trimVisited([{ ...seen, ...words }, ...views.filter((item) => item !== known)]);
}

/** Drop the oldest visited views beyond the limit, those without a name or note first. @param {Visited[]} views */
function trimVisited(views) {
  const kept = [...views];
  while (kept.length > MAX_VIEWS) {
    const plain = kept.findLastIndex((item) => !item.name && !item.note);
    kept.splice(plain > 0 ? plain : kept.length - 1, 1);
  }
  return kept;
}

/** Return the list of visited views with another name or note of one. @param {Visited[]} views @param {string} key @param {{name?: string, note?: string}} words */
export function describeView(views, key, words) {
  return views.map((item) => (item.key === key ? { ...item, ...words } : item));
}

/** Return the list of visited views without these. @param {Visited[]} views @param {string[]} keys */
export function dropViews(views, keys) {
  return views.filter((item) => !keys.includes(item.key));
}

/** Put removed entries back, newest first, except those that were visited again meanwhile. @param {Visited[]} views @param {Visited[]} dropped */
export function restoreViews(views, dropped) {
  const missing = dropped.filter((item) => !views.some(({ key }) => key === item.key));
  return trimVisited([...views, ...missing].sort((one, other) => other.seen - one.seen));
}

/** Return the name of an entry. @param {Visited} item */
export const nameOfView = (item) => item.name || item.title;
