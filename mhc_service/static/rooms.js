/** Requests for courses (rooms). */

import { call } from 'mhc-scope/net/api.js';

/**
 * `RoomText`: what its teacher writes. `SavedView`: a view that someone shared in it.
 * @typedef {{id: string, title: string}} Room
 * @typedef {{title: string, sheet: string, presets: {title: string, description: string, state: string}[]}} RoomText
 * @typedef {{id: string, url: string, title: string, note: string, created_at: string}} SavedView
 */

/** Return the path of a room. @param {string} id */
const pathOf = (id) => `/rooms/${encodeURIComponent(id)}`;

/** Create a room. @param {RoomText} room @returns {Promise<{teacher_url: string}>} */
export const openRoom = (room) => call('/rooms', { method: 'POST', body: room });
/** Fetch the text of a room. @param {string} id @returns {Promise<RoomText>} */
export const getRoom = (id) => call(pathOf(id));
/** Change the text of a room. @param {string} id @param {string} key @param {RoomText} room @returns {Promise<RoomText>} */
export const changeRoom = (id, key, room) => call(pathOf(id), { method: 'PUT', body: room, key });
/** List the views shared in a room. @param {string} id @param {string} key @returns {Promise<SavedView[]>} */
export const listRoomViews = (id, key) => call(`${pathOf(id)}/views`, { key });
/** Delete a room; returns the numbers of deleted views and runs. @param {string} id @param {string} key @returns {Promise<{views: number, runs: number}>} */
export const deleteRoom = (id, key) => call(pathOf(id), { method: 'DELETE', key });
/** Export a room as a zip file. @param {string} id @param {string} key @returns {Promise<Blob>} */
export const exportRoom = (id, key) => call(`${pathOf(id)}/export`, { key });
