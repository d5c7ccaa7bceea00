/** Share: a snapshot keeps the runs and the page's state, and its short link opens the same numbers. */

import { signal } from '@preact/signals';
import { ApiError, postSnapshot } from './api.js';
import { copyText, tell } from './clipboard.js';
import { toHash } from './hash.js';
import { html } from './html.js';
import { theme } from './look.js';
import { CopyText, Dialog } from './menu.js';
import { formatCount } from './numbers.js';
import { saveView } from './saveview.js';
import * as state from './state.js';
import { withSource } from './sweeper.js';

/** @typedef {{id: string, short: string, long: string, said: string, hasMap: boolean}} Links */

const links = signal(/** @type {Links | null} */ (null));
const failure = signal('');
const saved = signal('');
/** What the stored view is called, and what is said of it. */
const words = signal({ title: '', note: '' });
/** What is framed: the panel, and the theme of the page that frames it. */
const framed = signal('gain');
const framedTheme = signal(/** @type {'light' | 'dark'} */ ('light'));

/** Heights at 720 px of the panels that are not as high as most. @type {Record<string, number>} */
const FRAME_HEIGHTS = { unfolded: 430, theory: 680, cost: 1000 };
const FRAME_HEIGHT = 400;
const MAP_HEIGHT = 240; // and as much as its rows take
const ROW_HEIGHT = 46;

/** Whether all that is shown can be stored. */
function isReady() {
  return state.phase.value === 'idle' && state.isComplete.value;
}

/** Store what is shown, and open the dialog. @param {string} [panel] that is to be framed */
export async function share(panel) {
  if (!isReady()) return tell('When all runs are done');
  framed.value = panel ?? (framed.value === 'map' ? 'gain' : framed.value);
  framedTheme.value = theme.value;
  words.value = { title: state.snapshot.value?.title ?? state.labels.value.join(', '), note: state.snapshot.value?.note ?? '' };
  await store();
}

async function store() {
  failure.value = saved.value = '';
  try {
    const runs = state.slots.value.map((slot) => slot.id);
    const hash = toHash(state.view.value);
    const stored = await withSource(state.view.value.map, (held) => postSnapshot({ runs, state: hash, sweep: held?.id ?? null, ...toWords() }));
    const short = new URL(stored.url, location.href).href;
    const said = await copyText(short);
    const long = new URL(hash ? `/#${hash}` : '/', location.href).href;
    links.value = { id: stored.id, short, long, said, hasMap: stored.sweep !== null };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    failure.value = `${error.title}: ${error.message}`;
    links.value = { id: '', short: '', long: '', said: '', hasMap: false };
  }
}

/** What is typed; another title or note is another stored view, made on request. @param {any} event */
function note({ target }) {
  words.value = { ...words.value, [target.name]: target.value };
}

/** Never without a title. */
function toWords() {
  const { title, note } = words.value;
  return { title: title.trim() || state.labels.value.join(', '), note: note.trim() };
}

async function save() {
  const { short = '', long = '' } = links.value ?? {};
  saved.value = 'Drawing every figure …';
  try {
    const back = [{ title: 'These numbers', url: short }, { title: 'These settings, computed anew', url: long }];
    const bytes = await saveView(toWords(), back.filter(({ url }) => url));
    saved.value = `Saved, ${formatCount(bytes, 'B')}: figures, sentences and numbers, to open anywhere.`;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    saved.value = `${error.title}: ${error.message}`;
  }
}

export function ShareButton() {
  return html`<button type="button" onClick=${() => share()} disabled=${!isReady()} title=${isReady() ? 'A link that opens these numbers' : 'When all runs are done'}>Share</button>`;
}

export function ShareDialog() {
  return html`
    <${Dialog} title="Share" isOpen=${links.value !== null} onClose=${() => (links.value = null)}>
      ${failure.value ? html`<p class="error" role="alert">${failure.value}</p>` : html`
        <p role="status">${links.value?.said === 'Copied' ? 'The link is copied.' : links.value?.said}</p>
        <h3>These numbers, kept for good</h3>
        <${CopyText} key=${links.value?.short} text=${links.value?.short ?? ''} label="Link to the snapshot" />
        <form class="words" onInput=${note} onSubmit=${(/** @type {Event} */ event) => (event.preventDefault(), void store())}>
          <label>Title <input type="text" name="title" maxlength="200" value=${words.value.title} /></label>
          <label>Note <textarea name="note" maxlength="1000" rows="1" value=${words.value.note} placeholder="What is to be seen here"></textarea></label>
          <button type="submit">Link with this title and note</button>
        </form>
        <h3>These settings, computed anew</h3>
        <${CopyText} text=${links.value?.long ?? ''} label="Link to the settings" />
        <h3>One figure in another page</h3>
        <${Frame} id=${links.value?.id ?? ''} hasMap=${links.value?.hasMap === true} />`}
      <h3>All of it, without a server</h3>
      <p class="choice"><button type="button" onClick=${save}>Save as one HTML file</button> <span class="hint" role="status">${saved.value}</span></p>
    <//>
  `;
}

/** The markup that frames one card of the stored view. @param {{id: string, hasMap: boolean}} props */
function Frame({ id, hasMap }) {
  const others = [{ key: 'cost', title: 'Cost' }, ...(hasMap ? [{ key: 'map', title: 'Map' }] : [])];
  const panels = [...state.shownPanels.value, ...others];
  const panel = panels.find((item) => item.key === framed.value);
  const query = new URLSearchParams({ panel: framed.value, theme: framedTheme.value });
  const url = new URL(`/embed/${id}?${query}`, location.href).href.replaceAll('&', '&amp;');
  const height = framed.value === 'map' ? MAP_HEIGHT + ROW_HEIGHT * (state.view.value.map?.y?.values.length ?? 2) : (FRAME_HEIGHTS[framed.value] ?? FRAME_HEIGHT);
  const text = `<iframe src="${url}" width="720" height="${height}" style="border:0" title="${panel?.title}, mHC Scope"></iframe>`;
  return html`
    <p class="choice">
      <label>Figure <select value=${framed.value} onChange=${(/** @type {any} */ event) => (framed.value = event.target.value)}>
        ${panels.map((item) => html`<option value=${item.key} selected=${item.key === framed.value}>${item.title}</option>`)}
      </select></label>
      <label>Theme <select value=${framedTheme.value} onChange=${(/** @type {any} */ event) => (framedTheme.value = event.target.value)}>
        <option value="light">Light</option><option value="dark">Dark</option>
      </select></label>
    </p>
    <${CopyText} key=${text} text=${text} label="Markup of a frame" />
  `;
}
