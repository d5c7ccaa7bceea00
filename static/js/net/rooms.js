/** Requests for courses (rooms). */

import { call } from './api.js';

/**
 * @typedef {import('../../types').RoomText} RoomText
 * @typedef {import('../../types').SavedView} SavedView
 */

/** Return the path of a room. @param {string} id */
const pathOf = (id) => `/rooms/${encodeURIComponent(id)}`;

/** @param {RoomText} room @returns {Promise<{teacher_url: string}>} */
export const openRoom = (room) => call('/rooms', { method: 'POST', body: room });
/** @param {string} id @returns {Promise<RoomText>} */
export const getRoom = (id) => call(pathOf(id));
/** @param {string} id @param {string} key @param {RoomText} room @returns {Promise<RoomText>} */
export const changeRoom = (id, key, room) => call(pathOf(id), { method: 'PUT', body: room, key });
/** @param {string} id @param {string} key @returns {Promise<SavedView[]>} */
export const listRoomViews = (id, key) => call(`${pathOf(id)}/views`, { key });
/** @param {string} id @param {string} key @returns {Promise<{views: number, runs: number}>} */
export const deleteRoom = (id, key) => call(pathOf(id), { method: 'DELETE', key });
/** @param {string} id @param {string} key @returns {Promise<Blob>} */
export const exportRoom = (id, key) => call(`${pathOf(id)}/export`, { key });
