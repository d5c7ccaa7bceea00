/** The bar on top: presets, what is going on, Run, Share, API, theme. */

import { StoryButton } from '../cards/lesson.js';
import { sayTraining } from '../cards/progress.js';
import { shareDone } from '../cards/story.js';
import { formatCount, formatSeconds, formatSecondsRange } from '../data/numbers.js';
import { isGrowing, specOf } from '../data/record.js';
import { MapButton } from '../map/button.js';
import { ROOT } from '../net/sent.js';
import { isReady, share } from '../share/share.js';
import { choice, setTheme } from '../state/look.js';
import { cancelRuns, requestRuns } from '../state/runner.js';
import * as state from '../state/signals.js';
import { html } from '../ui/html.js';
import { Fold, Menu } from '../ui/menu.js';
import { openDialog } from '../ui/opened.js';

const THEMES = /** @type {const} */ ({ auto: 'Auto', light: 'Light', dark: 'Dark' });

export function TopBar() {
  return html`
    <header class="topbar">
      <div class="identity"><h1 class="brand"><a href=${`${ROOT}/`}><b>mHC</b> Scope</a></h1><${Status} /></div>
      <button type="button" class="settings-button only-narrow" popovertarget="settings">Settings</button>
      <${Fold} label="Presets, share and more" sign="⋯">
        <${Opener} name="presets" className="presets">Presets<//>
        <${Opener} name="views" className="presets" title="What you have looked at in this browser">Your views<//>
        <span class="spacer"></span>
        <${StoryButton} />
        <${MapButton} />
        <${ShareButton} />
        <${Opener} name="api">API<//>
        <${Opener} name="help" title="What can be done here, and the keys">Help<//>
        <${Menu} className="button" label=${`Theme: ${THEMES[choice.value]}`} sign=${html`<span aria-hidden="true">◐</span> ${THEMES[choice.value]}`}
          items=${Object.entries(THEMES).map(([key, title]) => ({ title, run: () => setTheme(/** @type {keyof typeof THEMES} */ (key)) }))} />
      <//>
      <${ShortCost} />
      <${RunButton} />
    </header>
  `;
}

/** What opens a dialog. @param {{name: import('../ui/opened.js').DialogName, title?: string, className?: string, children?: any}} props */
function Opener({ name, title, className, children }) {
  return html`<button type="button" class=${className} title=${title} onClick=${() => openDialog(name)}>${children}</button>`;
}

function ShareButton() {
  return html`<button type="button" onClick=${() => share()} disabled=${!isReady()} title=${isReady() ? 'A link that opens these numbers' : 'When all runs are done'}>Share</button>`;
}

function RunButton() {
  if (state.phase.value === 'running')
    return html`<button type="button" class="primary" onClick=${cancelRuns}>Cancel</button>`;
  if (state.isOfTraces.value)
    return html`<button type="button" class="primary" disabled title="A trace has no spec, so it cannot be computed">Run</button>`;
  return html`<button type="button" class="primary" disabled=${state.phase.value === 'loading'} onClick=${() => requestRuns(true)}>Run</button>`;
}

/** Beside Run: what pressing it takes. */
function ShortCost() {
  if (state.estimates.value.length === 0) return html`<span class="cost"></span>`;
  return html`<span class="cost" title="Predicted time of all runs together: eight of ten views take this long">${sayWait()}</span>`;
}

/** What is going on, with the progress of what is computed. */
function Status() {
  state.dataTick.value;
  const done = state.slots.value.map((slot) => shareDone(slot.columns));
  const share = done.length > 0 ? done.reduce((a, b) => a + b, 0) / done.length : 0;
  return html`
    <span class="status">
      <span>${sentenceOf(state.phase.value)}</span>
      ${state.phase.value === 'running' ? html`<progress max="1" value=${share} aria-label="Progress"></progress>` : null}
    </span>
  `;
}

/** @param {import('../state/signals.js').Phase} phase */
function sentenceOf(phase) {
  if (!state.isConnected.value) return 'connection lost, trying again';
  if (phase === 'asking') return `${sayWait()}: press Run`;
  if (phase === 'busy')
    return `${state.problem.value?.status === 0 ? 'the server is away' : 'the server is busy'}, trying again`;
  if (phase === 'refused') return 'not computed: see the note';
  if (phase === 'loading') return 'loading';
  const places = state.slots.value.flatMap((slot) => (slot.place && !slot.columns.start ? [slot.place] : []));
  if (phase === 'running' || phase === 'checking')
    return places.length > 0 ? `waiting, place ${Math.min(...places)}` : 'computing';
  return doneSentence();
}

function doneSentence() {
  const slots = state.slots.value;
  const start = slots[0]?.columns.start;
  const cancelled = slots.filter((slot) => slot.columns.end?.status === 'cancelled').length;
  if (cancelled > 0) return `${cancelled} of ${slots.length} runs cancelled`;
  const time = state.elapsed_s.value === null ? 'stored' : `in ${formatSeconds(state.elapsed_s.value)}`;
  const runs = slots.length === 1 ? '1 run' : `${slots.length} runs`;
  if (!start) return '';
  const spec = specOf(slots[0].columns);
  const [type, seed] = spec ? [` · ${spec.dtype}`, ` · seed ${spec.seed}`] : ['', ' · a trace'];
  const watched = slots.filter(({ columns }) => isGrowing(columns));
  if (watched.length > 0) return watched.map(({ label, columns }) => `${label[0]}: ${sayTraining(columns)}`).join('; ');
  return html`${runs} ${time}<span class="only-wide"> · ${start.device.type}${type}</span>${seed}`;
}

function sayWait() {
  const { low_s, high_s } = state.predicted.value;
  return formatSecondsRange(low_s, high_s);
}

/** What the view costs, as predicted before anything starts. */
export function Cost() {
  const estimates = state.estimates.value;
  if (estimates.length === 0) return null;
  const flops = estimates.reduce((sum, item) => sum + item.flops, 0);
  return html`
    <p class="cost"><span class="sr">Predicted cost: </span>${sayWait()}, ${formatCount(state.predicted.value.peak_bytes, 'B')} of memory,
      ${' '}${formatCount(flops, 'FLOP')}; ${formatCount(Math.max(...estimates.map((item) => item.parameters)), '')} parameters a run.</p>
  `;
}
