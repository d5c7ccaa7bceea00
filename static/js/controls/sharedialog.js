/** The Share dialog: links, the frame of one card, and the view as a file. */

import { useState } from 'preact/hooks';
import { formatCount } from '../data/numbers.js';
import { ApiError } from '../net/api.js';
import { ROOT } from '../net/sent.js';
import { toFrameHeight } from '../picture/files.js';
import { TITLE } from '../picture/geometry/words.js';
import { KEY as PICTURE } from '../picture/shown.js';
import { MissingPart } from '../share/paper.js';
import {
  close,
  failure,
  framed,
  framedTheme,
  links,
  note,
  remove,
  saved,
  store,
  toWords,
  words,
} from '../share/share.js';
import * as state from '../state/signals.js';
import { omittedIn } from '../state/view/hash.js';
import { html } from '../ui/html.js';
import { CopyText, Dialog } from '../ui/menu.js';

/** Heights at 720 px of the panels that are not as high as most. @type {Record<string, number>} */
const FRAME_HEIGHTS = { unfolded: 430, theory: 680, cost: 1000 };
const FRAME_WIDTH = 720;
const FRAME_HEIGHT = 400;
const MAP_HEIGHT = 240; // and as much as its rows take
const ROW_HEIGHT = 46;
const DAY_MS = 86_400_000;

async function save() {
  const { short = '', long = '' } = links.value ?? {};
  saved.value = 'Drawing every figure …';
  try {
    const back = [
      { title: 'These numbers', url: short },
      { title: 'These settings, computed anew', url: long },
    ];
    const { saveView } = await import('./saveview.js');
    const { bytes, hasSliders } = await saveView(
      toWords(),
      back.filter(({ url }) => url),
    );
    saved.value = `Saved, ${formatCount(bytes, 'B')}: figures, sentences and numbers, to open anywhere.${hasSliders ? ' Its sliders work without a server.' : ''}`;
  } catch (error) {
    if (error instanceof MissingPart)
      saved.value = `No file was made, for a part of it did not come from the server (${error.message})`;
    else if (error instanceof ApiError) saved.value = `${error.title}: ${error.message}`;
    else throw error;
  }
}

/** @param {Event} event */
function submit(event) {
  event.preventDefault();
  void store();
}

export function ShareDialog() {
  return html`
    <${Dialog} title="Share" isOpen=${links.value !== null} onClose=${close}>
      ${
        failure.value
          ? html`<p class="error" role="alert">${failure.value}</p>`
          : html`
        <p role="status">${links.value?.said === 'Copied' ? 'The link is copied.' : links.value?.said}</p>
        <h3>These numbers, ${links.value?.expires ? 'kept' : 'kept for good'}</h3>
        <${CopyText} key=${links.value?.short} text=${links.value?.short ?? ''} label="Link to the snapshot" />
        ${links.value?.expires ? html`<p class="hint">Until no one has opened it for ${daysUntil(links.value.expires)} days.</p>` : null}
        ${links.value?.isOwn ? html`<${Deletion} key=${links.value.id} />` : null}
        <form class="words" onInput=${note} onSubmit=${submit}>
          <label>Title <input type="text" name="title" maxlength="200" value=${words.value.title} /></label>
          <label>Note <textarea name="note" maxlength="1000" rows="1" value=${words.value.note} placeholder="What is to be seen here"></textarea></label>
          <button type="submit">Link with this title and note</button>
        </form>
        <h3>These settings, computed anew</h3>
        ${links.value?.long ? html`<${CopyText} text=${links.value.long} label="Link to the settings" />${omittedIn(new URL(links.value.long).hash).length > 0 ? html`<p class="hint">Without the text, which is too long for a link: the short link above keeps it.</p>` : null}` : html`<p class="hint">It is not known yet which trace is shown.</p>`}
        <h3>One figure in another page</h3>
        <${Frame} id=${links.value?.id ?? ''} hasMap=${links.value?.hasMap === true} />`
      }
      <h3>All of it, without a server</h3>
      <p class="choice"><button type="button" onClick=${save}>Save as one HTML file</button> <span class="hint" role="status">${saved.value}</span></p>
    <//>
  `;
}

/** @param {string} time as the server writes it */
const daysUntil = (time) => Math.max(1, Math.round((Date.parse(time) - Date.now()) / DAY_MS));

/** A first press asks, a second deletes: whoever has the link will find nothing. */
function Deletion() {
  const [isAsked, setAsked] = useState(false);
  return isAsked
    ? html`<p class="choice"><button type="button" onClick=${() => void remove()}>Delete it for everyone</button>
        <button type="button" onClick=${() => setAsked(false)}>Keep it</button>
        <span class="hint" role="status">Its link and its frames will lead nowhere.</span></p>`
    : html`<p class="choice"><button type="button" onClick=${() => setAsked(true)}>Delete this link</button></p>`;
}

/** The height of a panel's frame: what it holds tells that of the map and of the picture. @param {string} key */
function heightOf(key) {
  const { value: templates } = state.templates;
  if (key === 'map') return MAP_HEIGHT + ROW_HEIGHT * (state.view.value.map?.y?.values.length ?? 2);
  if (key === PICTURE && templates) return toFrameHeight(templates, FRAME_WIDTH);
  return FRAME_HEIGHTS[key] ?? FRAME_HEIGHT;
}

/** The markup that frames one card of the stored view. @param {{id: string, hasMap: boolean}} props */
function Frame({ id, hasMap }) {
  const picture = { key: PICTURE, title: TITLE };
  const others = [{ key: 'cost', title: 'Cost' }, ...(hasMap ? [{ key: 'map', title: 'Map' }] : [])];
  const panels = [picture, ...state.shownPanels.value, ...others];
  const panel = panels.find((item) => item.key === framed.value);
  const query = new URLSearchParams({ panel: framed.value, theme: framedTheme.value });
  const url = new URL(`${ROOT}/embed/${id}?${query}`, location.href).href.replaceAll('&', '&amp;');
  const text = `<iframe src="${url}" width="${FRAME_WIDTH}" height="${heightOf(framed.value)}" style="border:0" title="${panel?.title}, mHC Scope"></iframe>`;
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
