/** The page: loads schema and presets, renders the components, and keeps view, address and runs in step. */

import { computed, effect } from '@preact/signals';
import { render } from 'preact';
import { TrainingProgress } from './cards/progress.js';
import { Results } from './cards/results.js';
import { Featured, featuredKey, Sections } from './cards/sections.js';
import { current, Heading } from './cards/story.js';
import { STEPS } from './cards/storysteps.js';
import { Strip } from './cards/strip.js';
import { observed, verified } from './cards/verifying.js';
import { Continue } from './controls/continueview.js';
import { followCursor } from './controls/cursor.js';
import { PresetBanner } from './controls/presetbanner.js';
import { followShortcuts } from './controls/shortcuts.js';
import { SkipLinks } from './controls/skip.js';
import { Sliders } from './controls/sliders.js';
import { TopBar } from './controls/topbar.js';
import { DropZone, followDrops } from './controls/traces.js';
import { followVisits } from './controls/visits.js';
import { ApiError, getPresets, getSchema, retryWhileBusy } from './net/api.js';
import { hasServer } from './net/sent.js';
import { PictureCard } from './picture/card.js';
import { magnifyKind } from './picture/shown.js';
import { presented } from './plots/presented.js';
import { followPrint } from './plots/print.js';
import { footLine } from './share/export.js';
import { links } from './share/share.js';
import { openAddress } from './state/actions.js';
import { openingView } from './state/address.js';
import { boot } from './state/boot.js';
import { requestPresetRuns } from './state/early.js';
import { hasEdits, shownCut } from './state/edits.js';
import { kindsIn, presetIn } from './state/hash.js';
import { followLook } from './state/look.js';
import { followPrefetch } from './state/prefetch.js';
import { areAllKnown, leavePreset, presets, title, unknownPreset } from './state/presets.js';
import * as state from './state/signals.js';
import { toFields } from './state/spec.js';
import { followTrainSteps } from './state/trainsteps.js';
import { toRequestKey } from './state/viewtraces.js';
import { stopPlayingOnInput } from './sweep/play.js';
import { additions } from './ui/additions.js';
import { Toast } from './ui/clipboard.js';
import { html } from './ui/html.js';
import { Lazy } from './ui/lazy.js';
import { opened, settingsOpened } from './ui/opened.js';

/** Render the whole page; hidden parts are loaded once they are opened. */
function App() {
  return html`
    <${SkipLinks} />
    <${TopBar} />
    <${Banner} />${additions.banners.map((Addition) => html`<${Addition} />`)}
    <main>
      <${Continue} />
      <${PresetBanner} />
      <${Heading} />
      <${Featured} />
      <div class="bench">
        <${PictureCard}><${TrainingProgress} /><//>
        <${Atlas} />
        <${Edits} isAtPicture=${true} />
        <${Sliders} />
        <${Strip} />
        <${Edits} isAtPicture=${false} />
      </div>
      <${Results} />
      <${Sections} />
    </main>
    <${PrintedFoot} />
    <${Dialogs} />
    <p class="sr" role="status" aria-live="polite">${state.announcement.value}</p>
    <${Toast} />
    <${DropZone} />
  `;
}

/** Whether the view has a sweep; a computed value, so that dialogs do not render on every change of the view. */
const hasSweep = computed(() => state.view.value.sweep !== undefined);

/** Rarely used dialogs: when each is needed, and how it is loaded. @type {[() => boolean, () => Promise<any>][]} */
const LAZY_DIALOGS = [
  [() => settingsOpened.value, () => import('./controls/settings.js').then(({ Drawer }) => Drawer)],
  [() => links.value !== null, () => import('./controls/sharedialog.js').then(({ ShareDialog }) => ShareDialog)],
  [() => opened.value === 'api', () => import('./controls/apicard.js').then(({ ApiDialog }) => ApiDialog)],
  [() => opened.value === 'help', () => import('./controls/help.js').then(({ HelpDialog }) => HelpDialog)],
  [() => opened.value === 'presets', () => import('./controls/gallery.js').then(({ Gallery }) => Gallery)],
  [() => opened.value === 'views', () => import('./controls/viewsdialog.js').then(({ ViewsDialog }) => ViewsDialog)],
  [() => verified.value !== null, () => import('./cards/verify.js').then(({ VerifyDialog }) => VerifyDialog)],
  [() => observed.value !== null, () => import('./cards/lens.js').then(({ LensDialog }) => LensDialog)],
  [() => hasServer && hasSweep.value, () => import('./sweep/dialog.js').then(({ SweepDialog }) => SweepDialog)],
  [() => presented.value !== null, () => import('./controls/stage.js').then(({ Stage }) => Stage)],
];

/** Render the atlas of all cuts, if it is open. */
const Atlas = () =>
  html`<${Lazy} isWanted=${shownCut.value !== null} load=${() => import('./edits/atlas.js').then((module) => module.AtlasRow)} />`;

/** Whether the pointer is on a layer: a click there may make an edit, so its list is loaded before. */
const isPointed = computed(() => state.hovered.value !== null);

/**
 * Render the list of edits, if there are any. It is last, so that charts do not move when it appears, and its first line is always in sight. Below
 * a preset's card the picture is where that line would be: there the list follows the picture, and covers nothing.
 * @param {{isAtPicture: boolean}} props
 */
function Edits({ isAtPicture }) {
  if (isAtPicture !== (featuredKey() !== undefined)) return null;
  return html`<${Lazy} isWanted=${hasEdits.value || isPointed.value} load=${() => import('./edits/list.js').then((module) => module.EditsRow)} />`;
}

/** Render all dialogs of the page; each is loaded when it is first opened. */
function Dialogs() {
  return LAZY_DIALOGS.map(([isWanted, load]) => html`<${Lazy} isWanted=${isWanted()} load=${load} />`);
}

/** Render refusals, problems of the address, and the note that a snapshot is shown. */
function Banner() {
  const { value: problem } = state.problem;
  const { value: snapshot } = state.snapshot;
  const notices = [...state.notices.value, ...state.unknownCards.value, ...unknownPreset.value];
  return html`
    <div class="banners">
      ${problem ? html`<div class="banner bad" role="alert">${describeProblem(problem)}${additions.refusals.map((Addition) => html`<${Addition} problem=${problem} />`)}</div>` : null}
      ${
        notices.length > 0
          ? html`<div class="banner bad" role="alert"><b>Part of this link couldn't be applied.</b> ${notices.join('; ')}
        <button type="button" class="icon" aria-label="Close" onClick=${dismissNotices}>✕</button></div>`
          : null
      }
      ${
        snapshot
          ? html`<div class="banner" role="status">Snapshot${snapshot.title && snapshot.title !== state.labels.value.join(', ') ? html` <b>${snapshot.title}</b>` : ''} from ${formatDate(snapshot.created_at)}. Edit anything to recompute${state.hasTrace.value ? '; recordings stay as they are' : ''}.
        ${snapshot.note ? html`<p class="snapshot-note">${snapshot.note}</p>` : null}</div>`
          : null
      }
    </div>
  `;
}

const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });

/** Format the date of a snapshot. @param {string} time */
const formatDate = (time) => DAY.format(new Date(time));

/** Describe a refusal, errors of settings per setting, and the runs that stay on the page. @param {ApiError} problem */
function describeProblem(problem) {
  const sentences = problem.errors.length > 0 ? [...new Set(state.fieldErrors.value.values())] : [];
  const reason = sentences.length > 0 ? sentences.join(' ') : html`<b>${problem.title}.</b> ${problem.message}`;
  const isOther = state.phase.value === 'refused' && state.isOutdated.value;
  return html`${reason}${isOther ? ` The page shows ${isOpening() ? 'the opening view' : 'the last valid settings'} instead.` : ''}`;
}

/** Return whether the shown runs are those of the opening view. */
function isOpening() {
  const opening = openingView();
  const wanted = opening.runs.map((choice) => toRequestKey(state.fields.value, opening, choice));
  return wanted.join() === state.slots.value.map(({ requestKey }) => requestKey).join();
}

/** Dismiss refusals and the note about an unknown preset. */
function dismissNotices() {
  state.forgetNotices();
  if (unknownPreset.value.length > 0) leavePreset();
}

/** Render the foot line of a printed page: which runs were computed. */
function PrintedFoot() {
  state.dataTick.value;
  return html`<p class="only-print">${footLine()}</p>`;
}

/** Keep the document's title in step with the view, except during a drag: setting it takes a tenth of a frame. */
function followTitle() {
  effect(() => {
    if (state.isDragging.value) return;
    const snapshotTitle = state.snapshot.value?.title;
    document.title = snapshotTitle ? `${snapshotTitle} · mHC Scope` : title.value;
  });
}

/** Let the picture magnify the run that the story step is about. */
function followStory() {
  effect(() => magnifyKind(STEPS[current.value ?? -1]?.magnified ?? null));
}

/** Show an error of the server in the banner; throw any other error. @param {unknown} error */
function showServerError(error) {
  if (!(error instanceof ApiError)) throw error;
  state.problem.value = error;
}

/** Return whether the address names a preset that was not sent with the page. */
function namesPreset() {
  return presetIn(location.hash, boot.rules) !== undefined;
}

/** Reserve space for the runs that the address names. */
function expectRuns() {
  const kinds = kindsIn(boot.snapshot?.state ?? location.hash, boot.rules);
  if (kinds) state.view.value = { ...state.view.value, runs: kinds.map((kind) => ({ kind, own: {} })) };
}

/** Start the page: read the address, render, and follow the state until the page is closed. */
async function main() {
  const root = /** @type {HTMLElement} */ (document.getElementById('app'));
  expectRuns();
  const wait = (/** @type {ApiError} */ error) => {
    state.problem.value = error;
    return true;
  };
  // What the page shows first is requested before the page is rendered, which takes as long as the server's response.
  const schemaLoaded = retryWhileBusy(getSchema, wait);
  followLook(showServerError);
  requestPresetRuns();
  root.replaceChildren(); // Preact would keep the loading text
  render(html`<${App} />`, root);
  followShortcuts();
  stopPlayingOnInput();
  if (hasServer) followDrops();
  followCursor();
  followPrint();
  followTitle();
  followStory();
  followVisits();
  followPrefetch();
  followTrainSteps();
  const presetsLoaded = retryWhileBusy(getPresets, wait).then((found) => {
    presets.value = found.presets;
    areAllKnown.value = true;
  });
  presetsLoaded.catch(showServerError);
  try {
    const [schema] = await Promise.all([schemaLoaded, namesPreset() ? presetsLoaded : null]);
    state.fields.value = toFields(schema);
    state.problem.value = null;
  } catch (error) {
    return showServerError(error);
  }
  openAddress(boot.snapshot);
  // Back, Forward, and an edited hash.
  addEventListener('popstate', () => openAddress(boot.snapshot));
}

void main();
