/** Share: a snapshot keeps the runs and the page's state, and its short link opens the same numbers. */

import { signal } from '@preact/signals';
import { ApiError, postSnapshot } from './api.js';
import { copyText } from './clipboard.js';
import { toHash } from './hash.js';
import { html } from './html.js';
import { theme } from './look.js';
import { CopyText, Dialog } from './menu.js';
import { formatCount } from './numbers.js';
import { saveView } from './saveview.js';
import * as state from './state.js';

/** @typedef {{short: string, long: string, frame: string, said: string}} Links */

const links = signal(/** @type {Links | null} */ (null));
const failure = signal('');
const saved = signal('');

/** Whether all that is shown can be stored. */
function isReady() {
  return state.phase.value === 'idle' && state.isComplete.value;
}

export async function share() {
  if (!isReady()) return;
  failure.value = saved.value = '';
  try {
    const runs = state.slots.value.map((slot) => slot.id);
    const hash = toHash(state.view.value);
    const stored = await postSnapshot({ runs, state: hash, title: state.labels.value.join(', ') });
    const short = new URL(stored.url, location.href).href;
    const said = await copyText(short);
    const long = new URL(hash ? `/#${hash}` : '/', location.href).href;
    const embed = new URL(`/embed/${stored.id}?panel=gain&theme=${theme.value}`, location.href).href;
    links.value = { short, long, frame: `<iframe src="${embed}" width="720" height="380" title="mHC Scope"></iframe>`, said };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    failure.value = `${error.title}: ${error.message}`;
    links.value = { short: '', long: '', frame: '', said: '' };
  }
}

async function save() {
  const { short = '', long = '' } = links.value ?? {};
  saved.value = 'Drawing every figure …';
  try {
    const back = [{ title: 'These numbers', url: short }, { title: 'These settings, computed anew', url: long }];
    const bytes = await saveView(back.filter(({ url }) => url));
    saved.value = `Saved, ${formatCount(bytes, 'B')}: figures, sentences and numbers, to open anywhere.`;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    saved.value = `${error.title}: ${error.message}`;
  }
}

export function ShareButton() {
  return html`<button type="button" onClick=${share} disabled=${!isReady()} title=${isReady() ? 'A link that opens these numbers' : 'When all runs are done'}>Share</button>`;
}

export function ShareDialog() {
  return html`
    <${Dialog} title="Share" isOpen=${links.value !== null} onClose=${() => (links.value = null)}>
      ${failure.value ? html`<p class="error" role="alert">${failure.value}</p>` : html`
        <p role="status">${links.value?.said === 'Copied' ? 'The link is copied.' : links.value?.said}</p>
        <h3>These numbers, kept for good</h3>
        <${CopyText} text=${links.value?.short ?? ''} label="Link to the snapshot" />
        <h3>These settings, computed anew</h3>
        <${CopyText} text=${links.value?.long ?? ''} label="Link to the settings" />
        <h3>One figure in another page</h3>
        <${CopyText} text=${links.value?.frame ?? ''} label="Markup of a frame" />`}
      <h3>All of it, without a server</h3>
      <p class="choice"><button type="button" onClick=${save}>Save as one HTML file</button> <span class="hint" role="status">${saved.value}</span></p>
    <//>
  `;
}
