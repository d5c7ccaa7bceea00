/** The page of a course (room) for its teacher: with the key, it lists shared views, and changes, exports and deletes the room. */

import { signal } from '@preact/signals';
import { ApiError, REQUEST_HEADERS } from 'mhc-scope/net/api.js';
import { ROOT, sent } from 'mhc-scope/net/sent.js';
import { html } from 'mhc-scope/ui/html.js';
import { CopyText } from 'mhc-scope/ui/menu.js';
import { render } from 'preact';
import { changeRoom, deleteRoom, exportRoom, getRoom, listRoomViews, openRoom } from './rooms.js';

/**
 * @typedef {import('./rooms.js').RoomText} RoomText
 * @typedef {import('./rooms.js').SavedView} SavedView
 */

const key = new URLSearchParams(location.hash.slice(1)).get('key') ?? '';
const text = signal(/** @type {RoomText} */ ({ title: '', sheet: '', presets: [] }));
const views = signal(/** @type {SavedView[]} */ ([]));
const status = signal('');
const isDeleting = signal(false);

/** Run an action, and show its result or error next to the buttons. @param {() => Promise<string>} act */
async function runAction(act) {
  try {
    status.value = await act();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    status.value = `${error.title}: ${error.message}`;
  }
}

/** Set the text of the room. @param {RoomText} part */
const set = (part) => (text.value = part);

/** Render the form. @param {{submit: () => void, name: string, children?: any}} props */
function Form({ submit, name, children }) {
  const { title, sheet, presets } = text.value;
  const change = (/** @type {Partial<RoomText>} */ part) => set({ ...text.value, ...part });
  const send = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    submit();
  };
  return html`
    <form class="words" onSubmit=${send}>
      ${children}
      <label>Title <input type="text" required maxlength="120" value=${title} onInput=${(/** @type {any} */ event) => change({ title: event.target.value })} /></label>
      <label>Instructions (Markdown) <textarea rows="10" maxlength="20000" value=${sheet} onInput=${(/** @type {any} */ event) => change({ sheet: event.target.value })}></textarea></label>
      ${presets.map((preset, index) => html`<${PresetFields} preset=${preset} index=${index} change=${change} />`)}
      <p class="choice"><button type="button" onClick=${() => change({ presets: [...presets, { title: '', description: '', state: '' }] })}>+ Starting view</button>
        <button type="submit" class="primary">${name}</button></p>
    </form>
  `;
}

/** Render the fields of a starting view. @param {{preset: RoomText['presets'][number], index: number, change: (part: Partial<RoomText>) => void}} props */
function PresetFields({ preset, index, change }) {
  const { presets } = text.value;
  const put = (/** @type {Partial<typeof preset>} */ part) =>
    change({ presets: presets.map((item, at) => (at === index ? { ...item, ...part } : item)) });
  const drop = () => change({ presets: presets.filter((_, at) => at !== index) });
  return html`
    <fieldset class="room-preset">
      <legend>View ${index + 1}</legend>
      <label>Title <input type="text" required maxlength="120" value=${preset.title} onInput=${(/** @type {any} */ event) => put({ title: event.target.value })} /></label>
      <label>Description <input type="text" maxlength="400" value=${preset.description} onInput=${(/** @type {any} */ event) => put({ description: event.target.value })} /></label>
      <label>Address of the view <input type="text" required value=${preset.state && `#${preset.state}`} placeholder="copy it from the address bar of mHC Scope"
        onChange=${(/** @type {any} */ event) => put({ state: hashOf(event.target.value) })} /></label>
      <button type="button" onClick=${drop}>Remove view ${index + 1}</button>
    </fieldset>
  `;
}

/** Return the text after `#` in an address; all of it if there is none. @param {string} address */
function hashOf(address) {
  return address.slice(address.indexOf('#') + 1).trim();
}

/** Render what the teacher sees. @param {{room: import('./rooms.js').Room}} props */
function TeacherView({ room }) {
  const save = () =>
    runAction(async () => {
      await changeRoom(room.id, key, text.value);
      return 'Saved. Reload the page to see it as students do.';
    });
  return html`
    <section class="teacher" aria-label="For the teacher">
      <h2>Teacher view</h2>
      <p>This page's address contains your key, so keep it private. Give students this link:</p>
      <${CopyText} label="Link for students" text=${`${location.origin}${location.pathname}`} />
      <h3>Shared by students (${views.value.length})</h3>
      ${views.value.length === 0 ? html`<p class="hint">Nothing yet. You'll see what students share.</p>` : html`<ul>${views.value.map((view) => html`<${Saved} view=${view} />`)}</ul>`}
      <h3>The room</h3>
      <${Form} submit=${save} name="Save" />
      <p role="status">${status.value}</p>
      <p class="choice"><button type="button" onClick=${() => void runAction(() => download(room.id))}>Export everything (zip)</button>
        ${isDeleting.value ? html`<button type="button" onClick=${() => void runAction(() => drop(room.id))}>Yes, delete the room and ${views.value.length} shared views permanently</button>` : html`<button type="button" onClick=${() => (isDeleting.value = true)}>Delete the room …</button>`}</p>
    </section>
  `;
}

/** Render a shared view. @param {{view: SavedView}} props */
function Saved({ view }) {
  const saved = new Date(view.created_at).toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'short' });
  return html`<li><a href=${view.url}>${view.title || 'Untitled'}</a> <span class="hint">${saved}</span>${view.note ? html`<br />${view.note}` : null}</li>`;
}

/** Save the room as a file. @param {string} id */
async function download(id) {
  const url = URL.createObjectURL(await exportRoom(id, key));
  const link = Object.assign(document.createElement('a'), { href: url, download: `room-${id}.zip` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
  return 'Exported.';
}

/** Delete the room. @param {string} id */
async function drop(id) {
  const { views: gone, runs } = await deleteRoom(id, key);
  location.assign(`${ROOT}/rooms`);
  return `Deleted, with ${gone} views and ${runs} runs.`;
}

function NewRoom() {
  const make = () =>
    runAction(async () => {
      const opened = await openRoom(text.value);
      location.assign(opened.teacher_url);
      return 'Created.';
    });
  const enter = (/** @type {any} */ event) => {
    if (event.target.value) REQUEST_HEADERS.Authorization = `Bearer ${event.target.value.trim()}`;
    else delete REQUEST_HEADERS.Authorization;
  };
  return html`
    <${Form} submit=${make} name="Create room">
      <label>Token <input type="password" autocomplete="off" onChange=${enter} placeholder="if this server needs one" /></label><//>
    <p role="status">${status.value}</p>
  `;
}

async function main() {
  const root = /** @type {HTMLElement} */ (document.getElementById('teacher'));
  /** On the page that creates a room there is none. @type {import('./rooms.js').Room | undefined} */
  const room = sent.room;
  if (!room) return render(html`<${NewRoom} />`, root);
  if (!key) return;
  await runAction(async () => {
    views.value = await listRoomViews(room.id, key);
    const { title, sheet, presets } = await getRoom(room.id);
    set({ title, sheet, presets });
    return '';
  });
  render(html`<${TeacherView} room=${room} />`, root);
}

void main();
