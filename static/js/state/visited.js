/** The list of views that someone has looked at, the latest first: what is kept of each, and which go. No browser here. */

/**
 * `key` tells the same runs again, however they are looked at. `hash` says all of the view, also what a preset's or a stored view's `url`
 * leaves to the server. `name` and `note` are the reader's own, empty until then.
 * @typedef {{key: string, url: string, hash: string, title: string, name: string, note: string, seen: number,
 *   runs: {label: string, headline: string}[]}} Visited
 */

export const KEY = 'views';
export const MAX_VIEWS = 60;

/** Whether what was stored is an entry: another release of the page, or a hand, may have written it. @param {any} item */
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

/** With one more on top; the same runs seen again move up and keep their words. @param {Visited[]} views @param {Visited} seen @returns {Visited[]} */
export function addView(views, seen) {
  const known = views.find((item) => item.key === seen.key);
  const words = known ? { name: known.name, note: known.note } : {};
  return trim([{ ...seen, ...words }, ...views.filter((item) => item !== known)]);
}

/** The oldest goes first of those without a name or a note; only then of all. @param {Visited[]} views */
function trim(views) {
  const kept = [...views];
  while (kept.length > MAX_VIEWS) {
    const plain = kept.findLastIndex((item) => !item.name && !item.note);
    kept.splice(plain > 0 ? plain : kept.length - 1, 1);
  }
  return kept;
}

/** @param {Visited[]} views @param {string} key @param {{name?: string, note?: string}} words */
export function describeView(views, key, words) {
  return views.map((item) => (item.key === key ? { ...item, ...words } : item));
}

/** @param {Visited[]} views @param {string[]} keys */
export function dropViews(views, keys) {
  return views.filter((item) => !keys.includes(item.key));
}

/** What was dropped comes back to its place in time, unless it was seen again meanwhile. @param {Visited[]} views @param {Visited[]} dropped */
export function restoreViews(views, dropped) {
  const missing = dropped.filter((item) => !views.some(({ key }) => key === item.key));
  return trim([...views, ...missing].sort((one, other) => other.seen - one.seen));
}

/** What an entry is called. @param {Visited} item */
export const nameOfView = (item) => item.name || item.title;
