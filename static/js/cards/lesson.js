/** The story of the page, above the picture: why there are streams at all, in five steps that set the page's own controls. */

import { computed, signal } from '@preact/signals';
import { shownOf } from '../data/drawing.js';
import { present } from '../figures/presented.js';
import { commit } from '../state/actions.js';
import { openingView } from '../state/address.js';
import { boot } from '../state/boot.js';
import { recall, remember } from '../state/past/memory.js';
import { origin } from '../state/presets.js';
import * as state from '../state/signals.js';
import { fromSpecs, haveSameSpecs } from '../state/view/spec.js';
import { html } from '../ui/html.js';
import { STEPS, sayWhy, TITLE, toRuns } from './lessonsteps.js';
import { bringIntoSight } from './story.js';

const KEY = 'story';
const PICTURE = 'picture';

const isHidden = signal(recall(KEY) === 'hidden');
/** The step that was chosen last. */
const chosen = signal(/** @type {number | null} */ (null));

/** @param {number} step */
function viewOf(step) {
  const { connections } = STEPS[step];
  if (connections === null) return openingView();
  return fromSpecs(
    state.fields.value,
    connections.map((connection) => ({ connection })),
  );
}

/** The step whose runs are shown: none once anything was changed. */
export const current = computed(() => {
  const step = chosen.value;
  if (step === null || state.fields.value.size === 0) return null;
  return haveSameSpecs(state.fields.value, state.settings.value, viewOf(step)) ? step : null;
});

/** @param {number} step */
export function go(step) {
  chosen.value = step;
  commit(() => {
    const { cards, cursor } = state.view.value;
    state.view.value = { ...viewOf(step), cursor, ...(cards && { cards }) };
  });
}

/** Shows or hides the story, and keeps this in mind. */
export function StoryButton() {
  const toggle = () => {
    isHidden.value = !isHidden.value;
    remember(KEY, isHidden.value ? 'hidden' : null);
  };
  return html`<button type="button" aria-pressed=${!isHidden.value} onClick=${toggle}>Story</button>`;
}

export function Lesson() {
  const isOwn = state.snapshot.value === null && origin.value === undefined && boot.page === 'index';
  if (isHidden.value || !isOwn) return null;
  const step = current.value;
  return html`
    <section class="lesson" aria-labelledby="lesson-title">
      <h2 id="lesson-title">${TITLE}</h2>
      <p class="lesson-text" aria-live="polite"><${LessonText} />${step === STEPS.length - 1 ? html` <${Task} />` : null}</p>
      <ol class="lesson-steps">
        ${STEPS.map(
          ({ title }, index) => html`
          <li><button type="button" aria-current=${index === step ? 'step' : null} onClick=${() => go(index)}><b>${index + 1}</b> <span>${title}</span></button></li>`,
        )}
        <li><button type="button" title="The picture fills the screen; the arrow keys go through the steps" onClick=${() => present(PICTURE, true)}>▷ <span>Present</span></button></li>
      </ol>
    </section>
  `;
}

/** What the step says of the runs that are shown. */
export function LessonText() {
  state.dataTick.value;
  const step = current.value;
  const runs = toRuns(state.slots.value.map((slot) => shownOf(slot, (item) => item.summary !== null).columns));
  return html`${step === null ? sayWhy(runs) : STEPS[step].say(runs, state.cursor.value)}`;
}

/** What a reader is asked to do in the end. */
function Task() {
  const drift = state.fields.value.get('connection.noise');
  return drift
    ? html`Now you: <button type="button" class="sentence-button" onClick=${showDrift}>move “${drift.title}”</button> and watch the ribbons of HC.`
    : null;
}

/** Settings are closed on a phone. */
function showDrift() {
  const slider = /** @type {HTMLElement | null} */ (
    document.querySelector('[data-path="connection.noise"] input[type=range]')
  );
  const settings = /** @type {HTMLElement | null} */ (slider?.closest('[popover]'));
  if (settings && !settings.checkVisibility()) settings.showPopover();
  if (!slider) return;
  bringIntoSight(slider);
  slider.focus({ preventScroll: true });
}
