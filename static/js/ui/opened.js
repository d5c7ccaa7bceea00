/** What is open. Dialogs are loaded on first use, but buttons and keys need this state from the start. */

import { signal } from '@preact/signals';

/** The open dialog. */
export const opened = signal(/** @type {'presets' | 'views' | 'api' | 'help' | null} */ (null));
/** Whether the drawer of settings is open. */
export const settingsOpened = signal(false);
/** Whether the drawer scrolls to the edits when it opens. */
export const opensEdits = signal(false);

/** Close the open dialog. */
export function closeDialog() {
  opened.value = null;
}

/** Close the drawer of settings. */
export function closeSettings() {
  settingsOpened.value = opensEdits.value = false;
}
