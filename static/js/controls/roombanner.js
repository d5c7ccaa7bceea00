/** A banner while the page belongs to a course (room). */

import { ROOT } from '../net/sent.js';
import { leaveRoom, room } from '../state/room.js';
import { html } from '../ui/html.js';

export function RoomBanner() {
  const { value: entered } = room;
  if (!entered) return null;
  return html`
    <div class="banner" role="status"><b>Room “${entered.title}”.</b> Its teacher sees the views that you share here, with title and note. <a href=${`${ROOT}/r/${entered.id}`}>Instructions</a> <button type="button" onClick=${leaveRoom}>Leave room</button></div>
  `;
}
