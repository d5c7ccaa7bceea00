/** Stores the user's choices in this browser. */

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
