/** Stores the user's choices in this browser. */

/** Read a choice. @param {string} key @returns {string | null} */
export function recall(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null; // a sandboxed frame has no storage
  }
}

/** Store a choice. @param {string} key @param {string | null} value null deletes it */
export function remember(key, value) {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    // As above: the choice then lasts until the page is closed.
  }
}
