/** Share: a snapshot stores the runs and the state of the page, and its short link opens the same numbers. Nothing is stored unasked. */

import { signal } from '@preact/signals';
import { ApiError, deleteSnapshot, postSnapshot } from '../net/api.js';
import { urlOf } from '../state/address.js';
import { boot } from '../state/boot.js';
import { dropKey, keepKey, keyOf } from '../state/keys.js';
import { theme } from '../state/look.js';
import { preset } from '../state/presets.js';
import * as state from '../state/signals.js';
import { withSource } from '../state/sweeper.js';
import { toHash } from '../state/view/hash.js';
import { hasUnnamed } from '../state/view/traces.js';
import { notify } from '../ui/clipboard.js';

/**
 * What the dialog offers. `long` opens the settings; empty where it is not known which recording is shown. `id` and `short` are those of the
 * snapshot, empty until it is created; `expires` is empty where it never does. `isOwn`: it was created in this browser.
 * @typedef {{id: string, short: string, long: string, hasMap: boolean, isOwn: boolean, expires: string}} Links
 */

/** Null while the dialog is closed. */
export const links = signal(/** @type {Links | null} */ (null));
export const failure = signal('');
export const isCreating = signal(false);
export const saved = signal('');
/** Title and note of the snapshot. */
export const words = signal({ title: '', note: '' });
/** What is embedded: the panel, and the theme of the page that embeds it. */
export const framed = signal('gain');
export const framedTheme = signal(/** @type {'light' | 'dark'} */ ('light'));

/** Whether all that is shown can be stored. */
export function isReady() {
  return state.phase.value === 'idle' && state.isComplete.value;
}

/** Open the dialog. @param {string} [panel] that is to be embedded */
export function share(panel) {
  if (!isReady()) return notify('You can share when all runs are done.');
  framed.value = panel ?? (framed.value === 'map' ? 'gain' : framed.value);
  framedTheme.value = theme.value;
  words.value = {
    title: state.snapshot.value?.title ?? preset.value?.title ?? state.labels.value.join(', '),
    note: state.snapshot.value?.note ?? '',
  };
  failure.value = saved.value = '';
  const long = hasUnnamed(state.view.value) ? '' : new URL(urlOf(state.view.value), location.href).href;
  links.value = { id: '', short: '', long, hasMap: false, isOwn: false, expires: '' };
}

/** Counts requests for a link, and closings of the dialog: an answer that comes after either is ignored. */
let latestRequest = 0;

/** Close the dialog, also to what is on its way. */
export function close() {
  if (links.value === null) return;
  latestRequest++;
  isCreating.value = false;
  links.value = null;
}

/** Store what is shown, with its title and note. */
export async function createLink() {
  const mine = ++latestRequest;
  failure.value = saved.value = '';
  isCreating.value = true;
  try {
    const runs = state.slots.value.map((slot) => slot.id);
    const hash = toHash(state.view.value, boot.rules);
    const stored = await withSource(state.view.value.map, (shownSource) =>
      postSnapshot({ runs, state: hash, sweep: shownSource?.id ?? null, ...toWords() }),
    );
    const trouble = stored.key ? keepKey(stored.id, stored.key) : '';
    if (trouble) notify(trouble);
    if (mine !== latestRequest || links.value === null) return;
    const short = new URL(stored.url, location.href).href;
    const { id, sweep, expires_at: expires } = stored;
    links.value = {
      ...links.value,
      id,
      short,
      hasMap: sweep !== null,
      isOwn: keyOf(id) !== '',
      expires: expires ?? '',
    };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (mine === latestRequest) failure.value = `${error.title}: ${error.message}`;
  } finally {
    if (mine === latestRequest) isCreating.value = false;
  }
}

/** Delete the snapshot that the dialog shows, and close the dialog. */
export async function remove() {
  const id = links.value?.id ?? '';
  try {
    await deleteSnapshot(id, keyOf(id));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    // One that no longer exists is what was wanted.
    if (error.status !== 404) {
      failure.value = `${error.title}: ${error.message}`;
      return;
    }
  }
  dropKey(id);
  links.value = null;
  notify('The link is deleted.');
}

/** What is typed; another title or note makes another snapshot, on request. @param {any} event */
export function onNoteInput({ target }) {
  words.value = { ...words.value, [target.name]: target.value };
}

/** Never without a title. */
export function toWords() {
  const { title, note } = words.value;
  return { title: title.trim() || state.labels.value.join(', '), note: note.trim() };
}

const LOOPBACK = /^(localhost|.*\.localhost|127(\.\d+){3}|\[::1\])$/;

/** Whether an address leads other computers to themselves. @param {string} hostname */
export const isLoopback = (hostname) => LOOPBACK.test(hostname);
