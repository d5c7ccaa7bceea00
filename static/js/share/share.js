/** State of the Share dialog: a snapshot stores the runs and the view behind a short link. It is created only on request. */

import { signal } from '@preact/signals';
import { ApiError, deleteSnapshot, describeError, postSnapshot } from '../net/api.js';
import { urlOf } from '../state/address.js';
import { boot } from '../state/boot.js';
import { toHash } from '../state/hash.js';
import { theme } from '../state/look.js';
import { dropOwnerKey, ownerKeyOf, storeOwnerKey } from '../state/ownerkeys.js';
import { preset } from '../state/presets.js';
import * as state from '../state/signals.js';
import { withSource } from '../state/sweeper.js';
import { hasUnnamed } from '../state/viewtraces.js';
import { notify } from '../ui/clipboard.js';

/**
 * Links in the dialog. `long` opens the settings; empty if a recording has no id. `id` and `short` are those of the snapshot, empty until
 * it is created; `expires` is empty if it never expires. `isOwn`: the snapshot was created in this browser.
 * @typedef {{id: string, short: string, long: string, hasSweep: boolean, isOwn: boolean, expires: string}} Links
 */

/** Null while the dialog is closed. */
export const links = signal(/** @type {Links | null} */ (null));
export const failure = signal('');
export const isCreating = signal(false);
export const saved = signal('');
/** Title and note of the snapshot. */
export const words = signal({ title: '', note: '' });
/** The embedded panel, and the theme of the embedding page. */
export const framed = signal('gain');
export const framedTheme = signal(/** @type {'light' | 'dark'} */ ('light'));

/** Return whether all runs are done, so that a snapshot can be created. */
export function isReady() {
  return state.phase.value === 'idle' && state.isComplete.value;
}

/** Open the dialog that shares the view; needs all runs to be done. @param {string} [panel] panel to embed; default: the last one */
export function openShareDialog(panel) {
  if (!isReady()) return notify('You can share when all runs are done.');
  framed.value = panel ?? (framed.value === 'map' ? 'gain' : framed.value);
  framedTheme.value = theme.value;
  words.value = {
    title: state.snapshot.value?.title ?? preset.value?.title ?? state.labels.value.join(', '),
    note: state.snapshot.value?.note ?? '',
  };
  failure.value = saved.value = '';
  const long = hasUnnamed(state.view.value) ? '' : new URL(urlOf(state.view.value), location.href).href;
  links.value = { id: '', short: '', long, hasSweep: false, isOwn: false, expires: '' };
}

/** Counts requests for a link and closings of the dialog; responses of earlier requests are ignored. */
let latestRequest = 0;

/** Close the dialog that shares the view, and ignore pending responses. */
export function closeShareDialog() {
  if (links.value === null) return;
  latestRequest++;
  isCreating.value = false;
  links.value = null;
}

/** Create a snapshot with title and note. */
export async function createLink() {
  const request = ++latestRequest;
  failure.value = saved.value = '';
  isCreating.value = true;
  try {
    const runs = state.slots.value.map((slot) => slot.id);
    const hash = toHash(state.view.value, boot.rules);
    const snapshot = await withSource(state.view.value.sweep, (shownSource) =>
      postSnapshot({ runs, state: hash, sweep: shownSource?.id ?? null, ...toTitleAndNote() }),
    );
    const trouble = snapshot.key ? storeOwnerKey(snapshot.id, snapshot.key) : '';
    if (trouble) notify(trouble);
    if (request !== latestRequest || links.value === null) return;
    const short = new URL(snapshot.url, location.href).href;
    const { id, sweep, expires_at: expires } = snapshot;
    links.value = {
      ...links.value,
      id,
      short,
      hasSweep: sweep !== null,
      isOwn: ownerKeyOf(id) !== '',
      expires: expires ?? '',
    };
  } catch (error) {
    const message = describeError(error);
    if (request === latestRequest) failure.value = message;
  } finally {
    if (request === latestRequest) isCreating.value = false;
  }
}

/** Delete the snapshot that the dialog shows, and close the dialog. */
export async function deleteLink() {
  const id = links.value?.id ?? '';
  try {
    await deleteSnapshot(id, ownerKeyOf(id));
  } catch (error) {
    const isGone = error instanceof ApiError && error.status === 404; // already deleted
    if (!isGone) {
      failure.value = describeError(error);
      return;
    }
  }
  dropOwnerKey(id);
  links.value = null;
  notify('The link is deleted.');
}

/** Store typed title or note; they apply to the next snapshot. @param {any} event */
export function onNoteInput({ target }) {
  words.value = { ...words.value, [target.name]: target.value };
}

/** Return title and note; the title defaults to the labels of the runs. */
export function toTitleAndNote() {
  const { title, note } = words.value;
  return { title: title.trim() || state.labels.value.join(', '), note: note.trim() };
}

const LOOPBACK = /^(localhost|.*\.localhost|127(\.\d+){3}|\[::1\])$/;

/** Return whether a host name refers to the local computer. @param {string} hostname */
export const isLoopback = (hostname) => LOOPBACK.test(hostname);
