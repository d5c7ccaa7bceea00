/** The heading: headline, sentence, and the steps of the story; each step sets the runs. */

import { computed, signal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { isEarlier, shownOf } from '../figures/drawing.js';
import { hasServer } from '../net/sent.js';
import { showView } from '../state/actions.js';
import { openingView, trainedView } from '../state/address.js';
import { boot } from '../state/boot.js';
import { origin } from '../state/presets.js';
import * as state from '../state/signals.js';
import { fromSpecs, settingOf, TRACE } from '../state/spec.js';
import { Explained } from '../ui/glossary.js';
import { html } from '../ui/html.js';
import { useWhileSeen } from '../ui/seen.js';
import { describeClaim, describeTask, STEPS, toHeadline, toRuns, toStack } from './storysteps.js';

/** The last chosen step. */
const chosen = signal(/** @type {number | null} */ (null));

/** Return the view that a step of the story shows. @param {number} step */
function viewOfStep(step) {
  const { connections, edits } = STEPS[step];
  if (edits)
    return fromSpecs(
      state.fields.value,
      boot.rules.opening.filter(hasStreams).map((spec) => ({ ...spec, edits })),
    );
  if (connections === 'opening') return openingView();
  if (connections === 'trained') return trainedView();
  return fromSpecs(
    state.fields.value,
    connections.map((connection) => ({ connection })),
  );
}

/** Return whether a spec has several streams. @param {any} spec */
const hasStreams = ({ connection }) => boot.rules.connections[connection.kind].has_streams;

/** Join the kinds of connection of a view's runs. @param {import('../../types').View} view */
const kindsOf = (view) => view.runs.map(({ kind }) => kind).join();

/** The chosen step while its connections are shown; sliders may change the other settings. */
export const current = computed(() => {
  const step = chosen.value;
  if (step === null || state.fields.value.size === 0) return null;
  return kindsOf(state.settings.value) === kindsOf(viewOfStep(step)) ? step : null;
});

/** The view in which the story asks the user to drag a slider; null otherwise. */
const taskView = signal(/** @type {import('../../types').View | null} */ (null));

/** Show a step of the story. @param {number} step */
export function goToStep(step) {
  chosen.value = step;
  showView(viewOfStep(step));
}

/** Render the headline, the buttons of the story and the text of the step. */
export function Heading() {
  if (origin.value) return null; // the text of a preset replaces it
  const step = current.value;
  return html`
    <section class="heading" aria-labelledby="headline">
      <div>
        <${Headline} />
        <${StepText} />
      </div>
      <ol class="steps" aria-label="Story">
        ${STEPS.map(
          ({ title }, index) => html`
          <li><button type="button" class="step" aria-label=${`${index + 1}: ${title}`} title=${title} aria-current=${index === step ? 'step' : null} onClick=${() => goToStep(index)}>${index + 1}</button></li>`,
        )}
        <li><button type="button" class="next onward" onClick=${goToNextStep}>${nextLabel(step)}</button></li>
      </ol>
    </section>
  `;
}

/** Return the label of the button for the next step. @param {number | null} step */
function nextLabel(step) {
  if (step === null) return 'Start';
  return step < STEPS.length - 1 ? 'Next' : 'Your turn';
}

/** Show the next step of the story; after the last one, focus the slider to drag. */
function goToNextStep() {
  const step = current.value ?? -1;
  if (step < STEPS.length - 1) return goToStep(step + 1);
  chosen.value = null;
  showView(openingView()); // trained runs have no drift slider
  taskView.value = state.settings.value;
  requestAnimationFrame(() => document.getElementById('field-connection-noise')?.focus());
}

/** Return the columns that are drawn: derived or computed, else those of earlier runs. */
function shownColumns() {
  state.dataTick.value;
  return state.slots.value.map((slot) => shownOf(slot, hasGains).columns);
}

/** Return whether the gains of a run are known. @param {import('../../types').Columns} columns */
const hasGains = ({ layers }) => layers.has('composite_gain_fwd');

/** Return the stacks that the headline counts: those of the shown runs, or of the view if it waits for Run. */
function headlineStacks() {
  if (!isWaiting())
    return shownColumns()
      .filter(({ start }) => start !== null)
      .map(toStack);
  const view = state.settings.value;
  const depth = state.fields.value.get('depth');
  const choices = view.runs.filter(({ kind }) => kind !== TRACE);
  return depth ? choices.map((choice) => ({ depth: Number(settingOf(view, choice, depth)), kind: choice.kind })) : [];
}

/** Render the headline. */
function Headline() {
  const outer = useRef(/** @type {HTMLElement | null} */ (null));
  const { text, isOld } = useWhileSeen(outer, () => ({ text: toHeadline(headlineStacks()), isOld: isOfOtherRuns() }));
  return html`<h1 id="headline" class=${isOld ? 'stale' : ''} ref=${outer}>${text}</h1>`;
}

/** Render the text of the step, and the hint to press Start, which is not printed. */
function StepText() {
  const outer = useRef(/** @type {HTMLElement | null} */ (null));
  const { text, isOld, isBefore } = useWhileSeen(outer, () => ({
    text: describeStep(),
    isOld: isOfOtherRuns(),
    isBefore: isBeforeStart(),
  }));
  return html`<p class=${`step-text ${isOld ? 'stale' : ''}`} aria-live="polite" ref=${outer}><${Explained} text=${text} />${isBefore ? html`<span class="no-print"> Press Start to see why.</span>` : null}</p>`;
}

/** Return whether the story has not begun and has sentences for the shown runs. */
function isBeforeStart() {
  const { hc, mhc } = toRuns(shownColumns().filter(hasGains));
  const isFirst = current.value === null && taskView.value !== state.settings.value;
  return isFirst && !isWaiting() && Boolean(hc || mhc);
}

/** Return whether the runs of the view wait for Run, so that the page shows none or the gains of others. */
const isWaiting = () =>
  state.phase.value === 'unconfirmed' && (state.slots.value.length === 0 || (hasServer && showsOtherRuns()));

/** Return whether the shown gains are those of other settings. */
const showsOtherRuns = () =>
  state.isOutdated.value || state.slots.value.some((slot) => isEarlier(slot, shownOf(slot, hasGains).columns));

/** Return whether headline and sentence are about runs of other settings, and not about those of the view that wait for Run. */
const isOfOtherRuns = () => !isWaiting() && showsOtherRuns();

/** Describe what the step shows of the shown runs. */
function describeStep() {
  if (isWaiting())
    return `These runs are not computed yet. Press Run.${showsOtherRuns() ? ' The dimmed runs have other settings.' : ''}`;
  const step = current.value;
  const runs = toRuns(shownColumns().filter(hasGains));
  if (taskView.value === state.settings.value) return describeTask(runs);
  return step === null ? describeClaim(runs) : STEPS[step].describe(runs);
}

/** Render the text of the step about the shown runs. */
export const StoryText = () => html`<${Explained} text=${describeStep()} />`;
