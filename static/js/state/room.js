/** The room of a course that this tab is in: its runs count against the room's share, its saved views are seen by its teacher. */

import { signal } from '@preact/signals';
import { SENT } from '../net/api.js';
import { boot } from './boot.js';

const KEY = 'room';

/** @typedef {import('../../types').Room} Room */

/** A tab stays in its room when it is loaded anew. @returns {Room | null} */
function enter() {
  try {
    if (boot.room) sessionStorage.setItem(KEY, JSON.stringify(boot.room));
    return boot.room ?? JSON.parse(sessionStorage.getItem(KEY) ?? 'null');
  } catch {
    return boot.room ?? null; // a frame that its host has sandboxed has no storage
  }
}

export const room = signal(enter());
if (room.value) SENT['X-Room'] = room.value.id;

export function leaveRoom() {
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // As above.
  }
  delete SENT['X-Room'];
  room.value = null;
}
