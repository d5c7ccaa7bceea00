/** Which of the page's dialogs is open. Buttons and keys are there from the start; a dialog is loaded when it is first wanted. */

import { signal } from '@preact/signals';

/** @typedef {'presets' | 'views' | 'api' | 'help'} DialogName */

export const opened = signal(/** @type {DialogName | null} */ (null));

/** @param {DialogName} name */
export function openDialog(name) {
  opened.value = name;
}

export function closeDialog() {
  opened.value = null;
}

/** Whether the drawer of settings is open. */
export const settingsOpened = signal(false);

export function openSettings() {
  settingsOpened.value = true;
}

export function closeSettings() {
  settingsOpened.value = false;
}
