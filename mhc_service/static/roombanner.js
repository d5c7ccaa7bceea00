/** The course (room) of this tab: runs count against its quota, its teacher sees shared views, and a banner says so. */

import { signal } from '@preact/signals';
import { REQUEST_HEADERS } from 'mhc-scope/net/api.js';
import { ROOT, sent } from 'mhc-scope/net/sent.js';
import { additions } from 'mhc-scope/ui/additions.js';
import { html } from 'mhc-scope/ui/html.js';

const KEY = 'room';

/** @typedef {import('./rooms.js').Room} Room */

/** Return the room; a reload keeps it. @returns {Room | null} */
function enter() {
  try {
    if (sent.room) sessionStorage.setItem(KEY, JSON.stringify(sent.room));
    return sent.room ?? JSON.parse(sessionStorage.getItem(KEY) ?? 'null');
  } catch {
    return sent.room ?? null; // a sandboxed frame has no storage
  }
}

const room = signal(enter());
if (room.value) REQUEST_HEADERS['X-Room'] = room.value.id;

function leaveRoom() {
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // As above.
  }
  delete REQUEST_HEADERS['X-Room'];
  room.value = null;
}

function RoomBanner() {
  const { value: entered } = room;
  if (!entered) return null;
  return html`
    <div class="banner" role="status"><b>Room “${entered.title}”.</b> Its teacher sees the views that you share here, with title and note. <a href=${`${ROOT}/r/${entered.id}`}>Instructions</a> <button type="button" onClick=${leaveRoom}>Leave room</button></div>
  `;
}

additions.banners.push(RoomBanner);
