/** Deletion keys of snapshots created in this browser; the server sends each key once. No framework here. */

import { changeList, readList } from './store.js';

/** @typedef {{id: string, key: string}} Kept */

export const KEY = 'keys';
const MAX_KEYS = 500;

/** Return whether a stored item is the key of a snapshot: another version of the page may have written it. @param {any} item */
const isStoredKey = (item) => typeof item?.id === 'string' && typeof item.key === 'string';

/** Store the key with which a snapshot can be deleted. @param {string} id of a snapshot @param {string} key @returns {string} an error message, empty on success */
export const keepKey = (id, key) =>
  changeList(KEY, isStoredKey, (items) => [{ id, key }, ...items.filter((item) => item.id !== id)].slice(0, MAX_KEYS))
    .trouble;

/** Return the key of a snapshot; empty if it was not created here. @param {string} id */
export const keyOf = (id) => readList(KEY, isStoredKey).items.find((item) => item.id === id)?.key ?? '';

/** Delete the stored key of a snapshot. @param {string} id */
export const dropKey = (id) => void changeList(KEY, isStoredKey, (items) => items.filter((item) => item.id !== id));
