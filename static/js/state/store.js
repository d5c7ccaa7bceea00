/**
 * Lists that stay in this browser. Every tab writes the same ones, so that a list is read anew before each writing. What can not be read
 * or written is told, and nothing else is lost by it. No framework here.
 */

/** @typedef {{items: any[], trouble: string}} Stored */

const REFUSED = "This browser doesn't let the page store anything, so nothing is saved here.";
const FULL =
  "This browser's storage for the page is full, so the last change wasn't saved. Delete what you don't need.";
const UNREADABLE = "The saved list can't be read. “Delete all” starts a new one.";

/** @param {string} key @param {(item: any) => boolean} isItem what the page can show @returns {Stored} */
export function readList(key, isItem) {
  let text;
  try {
    text = localStorage.getItem(key);
  } catch {
    return { items: [], trouble: REFUSED };
  }
  try {
    const items = JSON.parse(text ?? '[]');
    return Array.isArray(items) && items.every(isItem) ? { items, trouble: '' } : { items: [], trouble: UNREADABLE };
  } catch {
    return { items: [], trouble: UNREADABLE };
  }
}

/** Change a list as it is now, with what other tabs have written. @param {string} key @param {(item: any) => boolean} isItem @param {(items: any[]) => any[]} change @returns {Stored} */
export function changeList(key, isItem, change) {
  const before = readList(key, isItem);
  if (before.trouble) return before;
  const trouble = writeList(key, change(before.items));
  return trouble ? { ...before, trouble } : readList(key, isItem);
}

/** Whatever was there. @param {string} key @param {any[]} items @returns {string} what went wrong, in a sentence; empty where nothing did */
export function writeList(key, items) {
  try {
    localStorage.setItem(key, JSON.stringify(items));
    return '';
  } catch (error) {
    return error instanceof DOMException && error.name === 'QuotaExceededError' ? FULL : REFUSED;
  }
}
