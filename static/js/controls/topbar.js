/** The top bar: navigation, status, Share, and a menu with further items. */

import { signal } from '@preact/signals';
import { fractionDone, trainingProgress } from '../cards/progress.js';
import { goToStep } from '../cards/story.js';
import { formatCount, formatSecondsRange } from '../data/numbers.js';
import { isGrowing } from '../data/record.js';
import { hasServer, ROOT } from '../net/sent.js';
import { present } from '../plots/presented.js';
import { isReady, openShareDialog } from '../share/share.js';
import { choice, setTheme } from '../state/look.js';
import { origin } from '../state/presets.js';
import { cancelRuns, requestRuns } from '../state/runner.js';
import * as state from '../state/signals.js';
import { openSweep, SweepButton } from '../sweep/button.js';
import { html } from '../ui/html.js';
import { Menu } from '../ui/menu.js';
import { opened } from '../ui/opened.js';

const THEMES = /** @type {const} */ ({ auto: 'as the system', light: 'light', dark: 'dark' });
const NEXT_THEME = /** @type {const} */ ({ auto: 'light', light: 'dark', dark: 'auto' });

/** On the smallest phones Sweep is in the menu, for lack of room. */
const tiny = matchMedia('(max-width: 360px)');
const isTiny = signal(tiny.matches);
tiny.addEventListener('change', () => {
  isTiny.value = tiny.matches;
});

/** Render the bar at the top: story, examples, status, Run, Share and the menu. */
export function TopBar() {
  return html`
    <header class="topbar">
      <a class="brand" href=${`${ROOT}/`}>mHC Scope</a>
      <nav aria-label="Page">
        <button type="button" class="quiet" onClick=${() => (opened.value = 'presets')}>Examples</button>
        ${hasServer ? html`<${SweepButton} />` : null}
        <${StoryButton} />
      </nav>
      <span class="spacer"></span>
      <div class="activity"><${RunStatus} />${hasServer ? html`<${RunButton} />` : null}</div>
      ${hasServer ? html`<${ShareButton} />` : null}
      <${MoreMenu} />
    </header>
  `;
}

/** Render the button of the story, unless the steps of the story are shown. */
function StoryButton() {
  if (!origin.value) return null;
  return html`<button type="button" class="quiet" title="Go to the first step of the story" onClick=${() => goToStep(0)}>Story</button>`;
}

/** Render the button that opens the dialog to share the view. */
function ShareButton() {
  const title = isReady() ? 'Get a link to these numbers' : 'Available when all runs are done';
  return html`<button type="button" class="quiet" onClick=${() => openShareDialog()} disabled=${!isReady()} title=${title}>Share</button>`;
}

/** Render the menu of dialogs and links. */
function MoreMenu() {
  const theme = choice.value;
  const items = [
    ...(hasServer && isTiny.value && !state.hasOnlyRecordings.value ? [{ title: 'Sweep', run: openSweep }] : []),
    { title: 'Your views', note: 'views opened in this browser', run: () => (opened.value = 'views') },
    { title: 'Present', note: 'the picture on the full screen', run: () => present('picture', true) },
    ...(hasServer ? [{ title: 'API', note: 'the calls behind this view', run: () => (opened.value = 'api') }] : []),
    ...(hasServer
      ? [{ title: 'Families', note: 'all connections, with numbers', run: () => location.assign(`${ROOT}/families`) }]
      : []),
    { title: 'Help', note: 'keys and terms', run: () => (opened.value = 'help') },
    {
      title: `Theme: ${THEMES[theme]}`,
      note: `change to ${THEMES[NEXT_THEME[theme]]}`,
      run: () => setTheme(NEXT_THEME[theme]),
    },
  ];
  return html`<${Menu} label="More" items=${items} />`;
}

/** Render Run or Cancel, if there is something to run or cancel. */
function RunButton() {
  const { value: phase } = state.phase;
  if (phase === 'running') return html`<button type="button" class="cancel" onClick=${cancelRuns}>Cancel</button>`;
  const isWanted = ['unconfirmed', 'refused'].includes(phase) || (phase === 'idle' && hasStopped());
  if (!isWanted || state.hasOnlyRecordings.value) return null;
  return html`<button type="button" class="primary" onClick=${() => requestRuns(true)}>Run</button>`;
}

/** Return whether a run was cancelled or failed. */
function hasStopped() {
  state.dataTick.value;
  return state.slots.value.some(({ columns }) => columns.end && columns.end.status !== 'done');
}

/** Render whether the runs of the view are complete and, if not, their progress. */
function RunStatus() {
  state.dataTick.value;
  const { value: phase } = state.phase;
  const done = state.slots.value.map((slot) => fractionDone(slot.columns));
  const share = done.length > 0 ? done.reduce((a, b) => a + b, 0) / done.length : 0;
  return html`
    <span class="status" role="status" data-phase=${phase}>
      <span>${describePhase(phase)}</span>
      ${phase === 'running' ? html`<progress max="1" value=${share} aria-label="Progress"></progress>` : null}
    </span>
  `;
}

/** Describe the phase of the view's runs: waiting, refused, queued, computing; empty once all are shown. @param {import('../state/signals.js').Phase} phase */
function describePhase(phase) {
  if (!state.isConnected.value) return 'Connection lost. Trying again.';
  if (phase === 'unconfirmed' && !hasServer) return ''; // `SiteNote` shows the reason
  if (phase === 'unconfirmed') return `Takes about ${formatWait()}.`;
  if (phase === 'busy')
    return `${state.problem.value?.status === 0 ? 'Server unreachable' : 'Server busy'}. Trying again.`;
  if (phase === 'refused') return "Can't run: see the message.";
  if (phase === 'loading') return 'Loading';
  const { value: slots } = state.slots;
  const watched = slots.filter(({ columns }) => isGrowing(columns));
  if (phase === 'idle') {
    const cancelled = slots.filter(({ columns }) => columns.end?.status === 'cancelled').length;
    if (cancelled > 0) return `${cancelled} of ${slots.length} runs cancelled`;
  }
  if (watched.length > 0)
    return watched.map(({ label, columns }) => `${label[0]}: ${trainingProgress(columns)}`).join('; ');
  if (phase === 'idle') return '';
  const places = slots.flatMap((slot) => (slot.place && !slot.columns.start ? [slot.place] : []));
  return places.length > 0 ? `Queued, place ${Math.min(...places)}` : 'Computing';
}

/** Format the predicted time until all runs are done. */
function formatWait() {
  const { low_s, high_s } = state.predicted.value;
  return formatSecondsRange(low_s, high_s);
}

/** Render the predicted time, memory, operations and parameters of the view's runs. */
export function PredictedCost() {
  const estimates = state.estimates.value;
  if (estimates.length === 0 || !hasServer) return null;
  const flops = estimates.reduce((sum, item) => sum + item.flops, 0);
  return html`
    <p class="cost">Predicted cost: about ${formatWait()}, ${formatCount(state.predicted.value.peak_bytes, 'B')} of memory,
      ${' '}${formatCount(flops, 'FLOP')}, ${formatCount(Math.max(...estimates.map((item) => item.parameters)), '')} parameters per run.</p>
  `;
}
