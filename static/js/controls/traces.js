/** Imports recordings: with a button, by dropping a file, or by pasting a link. */

import { effect, signal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import {
  adapted,
  failure,
  forgetFailure,
  hasRoom,
  makeTwin,
  openFiles,
  openRecord,
  sending,
  stopSending,
  unmatched,
} from '../state/traces.js';
import { findRecordId } from '../state/viewtraces.js';
import { notify } from '../ui/clipboard.js';
import { html } from '../ui/html.js';
import { Popover } from '../ui/menu.js';

const SUFFIX = '.mhct';
const TYPED = 'input, textarea, select';

/** Whether a file is dragged over the page. */
const isOver = signal(false);

/** Render the button that imports recordings of the user's own model, with its help. */
export function OpenTrace() {
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  const openChosen = (/** @type {any} */ { target }) => {
    void openFiles([...target.files]);
    target.value = ''; // so that the same file can be chosen again
  };
  return html`
    <div class="open-trace">
      ${
        hasRoom()
          ? html`<button type="button" class="add" disabled=${sending.value !== null} onClick=${() => input.current?.click()}>+ Import a recording</button>
      <${TraceHelp} />`
          : null
      }
      <input type="file" ref=${input} accept=${SUFFIX} multiple hidden onChange=${openChosen} />
    </div>
  `;
}

/** Render how to record a model. */
function TraceHelp() {
  return html`
    <${Popover} label="Recording: what it is" sign="?" className="icon field-help">
      <h3>A recording of your own model</h3>
      <p>A recording of your own model's forward and backward pass: signals, gradients and mixing of each layer. Make one in Python:</p>
      <pre>from mhc_probe import attach

with attach(model) as probe:
    model(inputs).loss.backward()
probe.result().save("ours${SUFFIX}")</pre>
      <p>Import the file here, drop it anywhere on the page, or paste a link to a recording on this server.</p>
    <//>
  `;
}

/** Render the progress of the upload, with a button to cancel it. */
function UploadProgress() {
  if (!sending.value) return null;
  const { name, share } = sending.value;
  return html`
    <div class="sending" role="status">
      <span>${share < 1 ? 'Sending' : 'Checking'} ${name}</span>
      <progress max="1" value=${share < 1 ? share : undefined} aria-label=${`Sending ${name}`}></progress>
      <button type="button" class="icon" aria-label="Stop sending" title="Stop" onClick=${stopSending}>✕</button>
    </div>
  `;
}

/** Render why a recording could not be opened. */
function OpenFailure() {
  if (failure.value.length === 0) return null;
  return html`
    <div class="sending-failed error" role="alert">
      <div>${failure.value.map((sentence) => html`<p>${sentence}</p>`)}</div>
      <button type="button" class="icon" aria-label="Close" onClick=${forgetFailure}>✕</button>
    </div>
  `;
}

/** Render the button that adds a matching synthetic run to a recording, and the settings that could not be matched. @param {{run: number, trace: string | undefined, isComplete: boolean}} props */
export function Twin({ run, trace, isComplete }) {
  if (!trace) return null;
  const unknown = unmatched.value[trace];
  return html`
    <p class="twin">
      ${hasRoom() && isComplete ? html`<button type="button" class="reset" title="A synthetic run with the same depth, streams and initialisation" onClick=${() => void makeTwin(run)}>Add a matching synthetic run</button>` : null}
    </p>
    ${
      unknown?.length
        ? html`<details class="own"><summary>${unknown.length === 1 ? "1 setting couldn't" : `${unknown.length} settings couldn't`} be matched</summary><ul class="hint">${unknown.map((sentence) => html`<li>${sentence}</li>`)}</ul></details>`
        : null
    }
  `;
}

/** Render the drop zone, the progress of an upload, and refusals. */
export function DropZone() {
  return html`
    ${isOver.value ? html`<div class="drop-zone" aria-hidden="true"><p>Drop the recording to import it</p></div>` : null}
    ${sending.value || failure.value.length > 0 ? html`<div class="card importing"><${UploadProgress} /><${OpenFailure} /></div>` : null}
  `;
}

/** Return whether a drag contains files. @param {DragEvent} event */
const holdsFiles = (event) => event.dataTransfer?.types.includes('Files') === true;

/** Open dropped files, and links pasted outside inputs; runs until the page is closed. */
export function followDrops() {
  effect(() => {
    if (adapted.value) notify(adapted.value);
  });
  addEventListener('dragover', (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault(); // otherwise the browser would open the file instead of the page
    isOver.value = true;
  });
  addEventListener('dragleave', (event) => {
    if (event.relatedTarget === null) isOver.value = false;
  });
  addEventListener('drop', (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    isOver.value = false;
    void openFiles([.../** @type {DataTransfer} */ (event.dataTransfer).files]);
  });
  addEventListener('paste', (event) => {
    const id = findRecordId(event.clipboardData?.getData('text') ?? '');
    const isTyping = event.target instanceof Element && event.target.matches(TYPED);
    if (id !== null && !isTyping) void openRecord(id);
  });
}
