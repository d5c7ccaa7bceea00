/** Says that the page is in a room, and what that means. */

import { ROOT } from '../../net/sent.js';
import { leaveRoom, room } from '../../state/room.js';
import { html } from '../../ui/html.js';

export function RoomBanner() {
  const { value: entered } = room;
  if (!entered) return null;
  return html`
    <div class="banner" role="status"><b>In the room “${entered.title}”.</b> Views that you share here are listed for its teacher, with
      title and note. <a href=${`${ROOT}/r/${entered.id}`}>Sheet</a> <button type="button" onClick=${leaveRoom}>Leave the room</button></div>
  `;
}
