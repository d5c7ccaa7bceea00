/** Deletion keys of snapshots created in this browser; the server sends each key once. No framework here. */

import { changeList, readList } from './store.js';

/** @typedef {{id: string, key: string}} Kept */

export const KEY = 'keys';
const MAX_KEYS = 500;

/** Return whether an item is a key. @param {any} item */
const isKept = (item) => typeof item?.id === 'string' && typeof item.key === 'string';

/** Store a key. @param {string} id of a snapshot @param {string} key @returns {string} an error message, empty on success */
export const keepKey = (id, key) =>
  changeList(KEY, isKept, (items) => [{ id, key }, ...items.filter((item) => item.id !== id)].slice(0, MAX_KEYS))
    .trouble;

/** Return the key of a snapshot; empty if it was not created here. @param {string} id */
export const keyOf = (id) => readList(KEY, isKept).items.find((item) => item.id === id)?.key ?? '';

/** Delete a key. @param {string} id */
export const dropKey = (id) => void changeList(KEY, isKept, (items) => items.filter((item) => item.id !== id));
