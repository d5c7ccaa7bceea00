/** The heading: one headline, one sentence, and the five steps of the story, each of which sets the runs. */

import { computed, signal } from '@preact/signals';
import { shownOf } from '../data/drawing.js';
import { commit } from '../state/actions.js';
import { openingView } from '../state/address.js';
import { boot } from '../state/boot.js';
import { origin } from '../state/presets.js';
import * as state from '../state/signals.js';
import { fromSpecs, haveSameSpecs } from '../state/view/spec.js';
import { html } from '../ui/html.js';
import { STEPS, sayWhy, toRuns } from './lessonsteps.js';

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

export function Heading() {
  if (origin.value || boot.page !== 'index') return null;
  const step = current.value;
  return html`
    <section class="heading" aria-labelledby="headline">
      <div>
        <h1 id="headline"><${Headline} /></h1>
        <p class="step-text" aria-live="polite"><${LessonText} /></p>
      </div>
      <ol class="steps" aria-label="Story">
        ${STEPS.map(
          ({ title }, index) => html`
          <li><button type="button" class="step" aria-label=${`${index + 1}: ${title}`} title=${title} aria-current=${index === step ? 'step' : null} onClick=${() => go(index)}>${index + 1}</button></li>`,
        )}
        <li><button type="button" class="next" onClick=${next}>Next <span aria-hidden="true">›</span></button></li>
      </ol>
    </section>
  `;
}

/** Go to the next step; after the last one, to the slider that the reader is asked to drag. */
function next() {
  const step = current.value ?? -1;
  if (step < STEPS.length - 1) go(step + 1);
  else document.getElementById('field-connection-noise')?.focus();
}

const NUMBERS = ['no', 'one way', 'two ways', 'three ways', 'four ways', 'five ways', 'six ways'];

function Headline() {
  const count = state.settings.value.runs.length;
  return html`One signal, ${state.layers.value} layers, ${NUMBERS[count] ?? `${count} ways`} to connect them`;
}

/** What the step says of the runs that are shown. */
export function LessonText() {
  state.dataTick.value;
  const step = current.value;
  const runs = toRuns(state.slots.value.map((slot) => shownOf(slot, (item) => item.summary !== null).columns));
  return html`${step === null ? sayWhy(runs) : STEPS[step].say(runs, state.cursor.value)}`;
}
