/** Share: a snapshot keeps the runs and the page's state, and its short link opens the same numbers. */

import { signal } from '@preact/signals';
import { ApiError, deleteSnapshot, postSnapshot } from '../net/api.js';
import { urlOf } from '../state/address.js';
import { boot } from '../state/boot.js';
import { theme } from '../state/look.js';
import { dropKey, keepKey, keyOf } from '../state/past/keys.js';
import { preset } from '../state/presets.js';
import * as state from '../state/signals.js';
import { withSource } from '../state/sweeper.js';
import { toHash } from '../state/view/hash.js';
import { hasUnnamed } from '../state/view/traces.js';
import { copyText, notify } from '../ui/clipboard.js';

/**
 * `long` is empty where it is not known which trace is shown, `expires` where the view is kept for good. `isOwn`: it was stored in this browser.
 * @typedef {{id: string, short: string, long: string, said: string, hasMap: boolean, isOwn: boolean, expires: string}} Links
 */

export const links = signal(/** @type {Links | null} */ (null));
export const failure = signal('');
export const saved = signal('');
/** What the stored view is called, and what is said of it. */
export const words = signal({ title: '', note: '' });
/** What is framed: the panel, and the theme of the page that frames it. */
export const framed = signal('gain');
export const framedTheme = signal(/** @type {'light' | 'dark'} */ ('light'));

/** Whether all that is shown can be stored. */
export function isReady() {
  return state.phase.value === 'idle' && state.isComplete.value;
}

/** Store what is shown, and open the dialog. @param {string} [panel] that is to be framed */
export async function share(panel) {
  if (!isReady()) return notify('When all runs are done');
  framed.value = panel ?? (framed.value === 'map' ? 'gain' : framed.value);
  framedTheme.value = theme.value;
  words.value = {
    title: state.snapshot.value?.title ?? preset.value?.title ?? state.labels.value.join(', '),
    note: state.snapshot.value?.note ?? '',
  };
  await store();
}

/** Counts requests for a link, and closings of the dialog: what comes after its dialog was closed opens none. */
let asked = 0;

/** Close the dialog, also to what is on its way. */
export function close() {
  if (links.value === null) return;
  asked++;
  links.value = null;
}

export async function store() {
  const mine = ++asked;
  failure.value = saved.value = '';
  try {
    const runs = state.slots.value.map((slot) => slot.id);
    const hash = toHash(state.view.value, boot.rules);
    const stored = await withSource(state.view.value.map, (held) =>
      postSnapshot({ runs, state: hash, sweep: held?.id ?? null, ...toWords() }),
    );
    const trouble = stored.key ? keepKey(stored.id, stored.key) : '';
    if (trouble) notify(trouble);
    if (mine !== asked) return;
    const short = new URL(stored.url, location.href).href;
    const said = await copyText(short);
    if (mine !== asked) return;
    const long = hasUnnamed(state.view.value) ? '' : new URL(urlOf(state.view.value), location.href).href;
    const isOwn = keyOf(stored.id) !== '';
    const expires = stored.expires_at ?? '';
    links.value = { id: stored.id, short, long, said, hasMap: stored.sweep !== null, isOwn, expires };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (mine !== asked) return;
    failure.value = `${error.title}: ${error.message}`;
    links.value = { id: '', short: '', long: '', said: '', hasMap: false, isOwn: false, expires: '' };
  }
}

/** Delete the stored view that the dialog shows, and close the dialog. */
export async function remove() {
  const id = links.value?.id ?? '';
  try {
    await deleteSnapshot(id, keyOf(id));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    // Whose it is has been asked before; what is not there any more is what was wanted.
    if (error.status !== 404) {
      failure.value = `${error.title}: ${error.message}`;
      return;
    }
  }
  dropKey(id);
  links.value = null;
  notify('The link is deleted. Share makes a new one.');
}

/** What is typed; another title or note is another stored view, made on request. @param {any} event */
export function note({ target }) {
  words.value = { ...words.value, [target.name]: target.value };
}

/** Never without a title. */
export function toWords() {
  const { title, note } = words.value;
  return { title: title.trim() || state.labels.value.join(', '), note: note.trim() };
}
