/** Keys of the stored views that were made in this browser: with one its link can be deleted. The server tells it once. No framework here. */

import { changeList, readList } from './store.js';

/** @typedef {{id: string, key: string}} Kept */

export const KEY = 'keys';
const MAX_KEYS = 500;

/** @param {any} item */
const isKept = (item) => typeof item?.id === 'string' && typeof item.key === 'string';

/** @param {string} id of a stored view @param {string} key @returns {string} what went wrong, in a sentence; empty where nothing did */
export const keepKey = (id, key) =>
  changeList(KEY, isKept, (items) => [{ id, key }, ...items.filter((item) => item.id !== id)].slice(0, MAX_KEYS))
    .trouble;

/** The key of a stored view; empty where it was not made here. @param {string} id */
export const keyOf = (id) => readList(KEY, isKept).items.find((item) => item.id === id)?.key ?? '';

/** @param {string} id */
export const dropKey = (id) => void changeList(KEY, isKept, (items) => items.filter((item) => item.id !== id));
