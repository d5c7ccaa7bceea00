/** The Share dialog: a snapshot link on request, a live link, an embedded figure, and the view as a file. */

import { useState } from 'preact/hooks';
import { formatCount } from '../data/numbers.js';
import { describeError } from '../net/api.js';
import { ROOT } from '../net/sent.js';
import { toFrameHeight } from '../picture/files.js';
import { KEY as PICTURE } from '../picture/shown.js';
import { TITLE } from '../picture/words.js';
import { MissingPart } from '../share/paper.js';
import {
  closeShareDialog,
  createLink,
  deleteLink,
  failure,
  framed,
  framedTheme,
  isCreating,
  isLoopback,
  links,
  onNoteInput,
  saved,
  toTitleAndNote,
  words,
} from '../share/share.js';
import { omittedIn } from '../state/hash.js';
import * as state from '../state/signals.js';
import { html } from '../ui/html.js';
import { CopyText, Dialog } from '../ui/menu.js';

/** Frame heights at a width of 720 px, for panels that differ from the default. @type {Record<string, number>} */
const FRAME_HEIGHTS = { unfolded: 480, theory: 680, cost: 1000 };
const FRAME_WIDTH = 720;
const FRAME_HEIGHT = 400;
const SWEEP_HEIGHT = 240; // without rows
const ROW_HEIGHT = 46;
const DAY_MS = 86_400_000;

/** Save the view as one HTML file, and show its size or what failed. */
async function saveFile() {
  const { short = '', long = '' } = links.value ?? {};
  saved.value = 'Drawing all figures …';
  try {
    const back = [
      { title: 'Snapshot', url: short },
      { title: 'Live link (recomputes)', url: long },
    ];
    const { saveView } = await import('./saveview.js');
    const { bytes, hasSliders } = await saveView(
      toTitleAndNote(),
      back.filter(({ url }) => url),
    );
    saved.value = `Downloaded, ${formatCount(bytes, 'B')}. Opens anywhere${hasSliders ? '; its sliders work without a server' : ''}.`;
  } catch (error) {
    saved.value =
      error instanceof MissingPart
        ? `No file: part of it could not be loaded from the server (${error.message}).`
        : describeError(error);
  }
}

/** Create the snapshot link. @param {Event} event */
function submitSnapshot(event) {
  event.preventDefault();
  void createLink();
}

/** Render the dialog that shares the view: snapshot, live link and file. */
export function ShareDialog() {
  return html`
    <${Dialog} title="Share" isOpen=${links.value !== null} onClose=${closeShareDialog}>
      ${isLoopback(location.hostname) ? html`<p class="warning">${location.host} only works on this computer. To share with others, download the view as HTML, or open this page at an address that they can reach.</p>` : null}
      <${Snapshot} />
      <h3>Live link (recomputes)</h3>
      <${LiveLink} />
      <h3>Embed a figure</h3>
      ${links.value?.id ? html`<${EmbedCode} id=${links.value.id} hasSweep=${links.value.hasSweep} />` : html`<p class="hint">Create a snapshot link first: the embed shows its numbers.</p>`}
      <h3>Download as HTML</h3>
      <p class="choice"><button type="button" onClick=${saveFile}>Download</button> <span class="hint" role="status">${saved.value || 'One file with all figures and numbers.'}</span></p>
    <//>
  `;
}

/** Render the snapshot link, created on request. */
function Snapshot() {
  const { id = '', short = '', isOwn = false, expires = '' } = links.value ?? {};
  return html`
    <h3>Snapshot link</h3>
    <form class="words" onInput=${onNoteInput} onSubmit=${submitSnapshot}>
      <label>Title <input type="text" name="title" maxlength="200" value=${words.value.title} /></label>
      <label>Note <textarea name="note" maxlength="1000" rows="1" value=${words.value.note} placeholder="What should people look at?"></textarea></label>
      <button type="submit" class=${id ? '' : 'primary'} disabled=${isCreating.value}>${id ? 'Create another link' : 'Create link'}</button>
    </form>
    ${failure.value ? html`<p class="error" role="alert">${failure.value}</p>` : null}
    ${
      id
        ? html`<${CopyText} key=${short} text=${short} label="Snapshot link" />
      <p class="hint" role="status">Opens exactly these numbers. ${expires ? `Expires ${daysUntil(expires)} days after its last visit.` : 'Never expires.'}</p>
      ${isOwn ? html`<${DeleteButton} key=${id} />` : null}`
        : html`<p class="hint">Stores these numbers on the server. Anyone with the link can open them.</p>`
    }
  `;
}

/** Render the link to the view, whose runs are computed again when it is opened. */
function LiveLink() {
  const long = links.value?.long;
  if (!long) return html`<p class="hint">Available when the recording is loaded.</p>`;
  const isCut = omittedIn(new URL(long).hash).length > 0;
  return html`<${CopyText} text=${long} label="Link to these settings" />
    ${isCut ? html`<p class="hint">Your text is too long for this link. A snapshot link keeps it.</p>` : null}`;
}

/** Count the days until a time. @param {string} time in the server's format */
const daysUntil = (time) => Math.max(1, Math.round((Date.parse(time) - Date.now()) / DAY_MS));

/** Render the button that deletes a snapshot, with a confirmation. */
function DeleteButton() {
  const [isConfirming, setConfirming] = useState(false);
  return isConfirming
    ? html`<p class="choice"><button type="button" onClick=${() => void deleteLink()}>Delete it for everyone</button>
        <button type="button" onClick=${() => setConfirming(false)}>Keep it</button>
        <span class="hint" role="status">The link and its embeds will stop working.</span></p>`
    : html`<p class="choice"><button type="button" onClick=${() => setConfirming(true)}>Delete this link</button></p>`;
}

/** Return the height of the frame that embeds a panel, in px; sweep and picture depend on their content. @param {string} key */
function frameHeightOf(key) {
  const { value: templates } = state.templates;
  if (key === 'map') return SWEEP_HEIGHT + ROW_HEIGHT * (state.view.value.sweep?.y?.values.length ?? 2);
  if (key === PICTURE && templates) return toFrameHeight(templates, FRAME_WIDTH);
  return FRAME_HEIGHTS[key] ?? FRAME_HEIGHT;
}

/** Render the code that embeds a figure of the snapshot. @param {{id: string, hasSweep: boolean}} props */
function EmbedCode({ id, hasSweep }) {
  const picture = { key: PICTURE, title: TITLE };
  const others = [{ key: 'cost', title: 'Cost' }, ...(hasSweep ? [{ key: 'map', title: 'Sweep' }] : [])];
  const panels = [picture, ...state.shownPanels.value, ...others];
  const panel = panels.find((item) => item.key === framed.value);
  const query = new URLSearchParams({ panel: framed.value, theme: framedTheme.value });
  const url = new URL(`${ROOT}/embed/${id}?${query}`, location.href).href.replaceAll('&', '&amp;');
  const text = `<iframe src="${url}" width="${FRAME_WIDTH}" height="${frameHeightOf(framed.value)}" style="border:0" title="${panel?.title}, mHC Scope"></iframe>`;
  return html`
    <p class="choice">
      <label>Figure <select value=${framed.value} onChange=${(/** @type {any} */ event) => (framed.value = event.target.value)}>
        ${panels.map((item) => html`<option value=${item.key} selected=${item.key === framed.value}>${item.title}</option>`)}
      </select></label>
      <label>Theme <select value=${framedTheme.value} onChange=${(/** @type {any} */ event) => (framedTheme.value = event.target.value)}>
        <option value="light">Light</option><option value="dark">Dark</option>
      </select></label>
    </p>
    <${CopyText} key=${text} text=${text} label="Embed code" />
  `;
}
