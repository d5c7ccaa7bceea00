/** The card that fills the screen in a presentation, or the window if the browser refuses full screen. */

import { signal } from '@preact/signals';

/** The presented card. `isStory`: arrow keys move through the steps of the story, else through presets. */
export const presented = signal(/** @type {{key: string, isStory: boolean} | null} */ (null));

/** Present one card over the whole window. @param {string} key of a card @param {boolean} [isStory] default false */
export function present(key, isStory = false) {
  presented.value = { key, isStory };
  if (!document.fullscreenElement) document.documentElement.requestFullscreen?.().catch(() => {}); // see above
}

/** End the presentation of a card, and leave the full screen. */
export function endPresentation() {
  presented.value = null;
  if (document.fullscreenElement) void document.exitFullscreen();
}

/** Ends the presentation with full screen, because the browser handles Escape there. */
addEventListener('fullscreenchange', () => {
  if (!document.fullscreenElement) presented.value = null;
});
