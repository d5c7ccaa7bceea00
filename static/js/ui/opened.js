/** The open dialog. Dialogs are loaded on first use, but buttons and keys need this state from the start. */

import { signal } from '@preact/signals';

/** @typedef {'presets' | 'views' | 'api' | 'help'} DialogName */

export const opened = signal(/** @type {DialogName | null} */ (null));

/** Open a dialog. @param {DialogName} name */
export function openDialog(name) {
  opened.value = name;
}

/** Close the open dialog. */
export function closeDialog() {
  opened.value = null;
}

/** Whether the drawer of settings is open. */
export const settingsOpened = signal(false);

/** Open the drawer of settings. */
export function openSettings() {
  settingsOpened.value = true;
}

/** Close the drawer of settings. */
export function closeSettings() {
  settingsOpened.value = opensEdits.value = false;
}

/** Whether the drawer scrolls to the edits when it opens. */
export const opensEdits = signal(false);
