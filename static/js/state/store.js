/**
 * Lists and choices stored in this browser. All tabs share them, so a list is read again before each change. Failures return a message and
 * lose nothing else. No framework here.
 */

/** @typedef {{items: any[], trouble: string}} Stored */

const REFUSED = "This browser doesn't let the page store anything, so nothing is saved here.";
const FULL =
  "This browser's storage for the page is full, so the last change wasn't saved. Delete what you don't need.";
const UNREADABLE = "The saved list can't be read. “Delete all” starts a new one.";

/** Read a list from the browser's storage, without invalid items. @param {string} key @param {(item: any) => boolean} isItem validates an item @returns {Stored} */
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

/** Change a list in the browser's storage, including changes by other tabs. @param {string} key @param {(item: any) => boolean} isItem @param {(items: any[]) => any[]} change @returns {Stored} */
export function changeList(key, isItem, change) {
  const before = readList(key, isItem);
  if (before.trouble) return before;
  const trouble = writeList(key, change(before.items));
  return trouble ? { ...before, trouble } : readList(key, isItem);
}

/** Overwrite a list in the browser's storage. @param {string} key @param {any[]} items @returns {string} an error message, empty on success */
export function writeList(key, items) {
  try {
    localStorage.setItem(key, JSON.stringify(items));
    return '';
  } catch (error) {
    return error instanceof DOMException && error.name === 'QuotaExceededError' ? FULL : REFUSED;
  }
}

/** Read a stored choice; null if there is none or storage is not available. @param {string} key @returns {string | null} */
export function recallChoice(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null; // a sandboxed frame has no storage
  }
}

/** Store a choice for later visits. @param {string} key @param {string | null} value null deletes it */
export function storeChoice(key, value) {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    // A sandboxed frame has no storage: the choice lasts until the page is closed.
  }
}
