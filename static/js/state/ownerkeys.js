/** Owner keys of snapshots created in this browser; the server sends each key once. No framework here. */

import { changeList, readList } from './store.js';

/** @typedef {{id: string, key: string}} Kept */

export const KEY = 'keys';
const MAX_KEYS = 500;

/** Return whether a stored item is the key of a snapshot: another version of the page may have written it. @param {any} item */
const isOwnerKey = (item) => typeof item?.id === 'string' && typeof item.key === 'string';

/** Store the key with which a snapshot can be deleted. @param {string} id of a snapshot @param {string} key @returns {string} an error message, empty on success */
export const storeOwnerKey = (id, key) =>
  changeList(KEY, isOwnerKey, (items) => [{ id, key }, ...items.filter((item) => item.id !== id)].slice(0, MAX_KEYS))
    .trouble;

/** Return the key of a snapshot; empty if it was not created here. @param {string} id */
export const ownerKeyOf = (id) => readList(KEY, isOwnerKey).items.find((item) => item.id === id)?.key ?? '';

/** Delete the stored key of a snapshot. @param {string} id */
export const dropOwnerKey = (id) => void changeList(KEY, isOwnerKey, (items) => items.filter((item) => item.id !== id));
