/** The course (room) of this tab: runs count against its quota, and its teacher sees shared views. */

import { signal } from '@preact/signals';
import { REQUEST_HEADERS } from '../net/api.js';
import { boot } from './boot.js';

const KEY = 'room';

/** @typedef {import('../../types').Room} Room */

/** Return the room; a reload keeps it. @returns {Room | null} */
function enter() {
  try {
    if (boot.room) sessionStorage.setItem(KEY, JSON.stringify(boot.room));
    return boot.room ?? JSON.parse(sessionStorage.getItem(KEY) ?? 'null');
  } catch {
    return boot.room ?? null; // a sandboxed frame has no storage
  }
}

export const room = signal(enter());
if (room.value) REQUEST_HEADERS['X-Room'] = room.value.id;

export function leaveRoom() {
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // As above.
  }
  delete REQUEST_HEADERS['X-Room'];
  room.value = null;
}
