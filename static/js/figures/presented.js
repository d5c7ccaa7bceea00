/** The card that fills the screen, for a lecture. Where the browser does not give its whole screen, the window is filled. */

import { signal } from '@preact/signals';

/** `isStory`: the arrow keys go through the steps of the story, else through the presets. */
export const presented = signal(/** @type {{key: string, isStory: boolean} | null} */ (null));

/** @param {string} key of a card @param {boolean} [isStory] */
export function present(key, isStory = false) {
  presented.value = { key, isStory };
  if (!document.fullscreenElement) document.documentElement.requestFullscreen?.().catch(() => {}); // see above
}

export function endPresentation() {
  presented.value = null;
  if (document.fullscreenElement) void document.exitFullscreen();
}

/** In full screen the browser takes Escape for itself. */
addEventListener('fullscreenchange', () => {
  if (!document.fullscreenElement) presented.value = null;
});
