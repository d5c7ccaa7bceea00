/** One card a run: its headline number and what was found, in words. */

import { shownOf } from '../data/drawing.js';
import { formatValue } from '../data/numbers.js';
import { isGrowing, trainSteps } from '../data/record.js';
import { sayPart } from '../figures/places.js';
import { toPartFindings, toPartHeadline } from '../instant/partwords.js';
import { preset, toHeadline } from '../state/presets.js';
import * as state from '../state/signals.js';
import { stylesOf } from '../state/styles.js';
import { html, still } from '../ui/html.js';
import { bringIntoSight } from '../ui/sight.js';
import { sayTraining, shareDone } from './progress.js';
import { VerifyButton } from './verifying.js';

const LINES = 3;

/** What is said of a run: of a trace that grows what is known so far. @param {import('../../types').Columns} columns */
const toTold = (columns) => columns.summary ?? columns.story;

/** @param {import('../../types').Columns} columns */
const isTold = (columns) => toTold(columns) !== null;

export function Results() {
  return html`
    <section class="story results" aria-label="What the runs show">
      ${state.slots.value.length === 0 ? state.settings.value.runs.map(() => html`<div class="card story-card awaited"></div>`) : null}
      ${state.slots.value.map((slot, run) => html`<${RunStory} key=${run} slot=${slot} run=${run} />`)}
    </section>
  `;
}

/** @param {{slot: import('../state/signals.js').Slot, run: number}} props */
function RunStory({ slot, run }) {
  state.dataTick.value;
  const { columns, label } = shownOf(slot, isTold);
  const isNew = columns === slot.columns;
  const color = stylesOf(isTold)[run]?.color;
  const findings = toTold(columns)?.findings ?? [];
  return html`
    <article class=${`card story-card ${isNew ? '' : 'stale'} ${isTold(columns) || columns.end ? '' : 'awaited'}`} style=${{ '--run': color }}>
      <h2>${label}</h2><${VerifyButton} slot=${slot} />
      <${Headline} slot=${slot} columns=${columns} />
      <${PartStory} columns=${columns} />
      ${findings.slice(0, LINES).map((finding) => html`<${Sentence} key=${finding.key} finding=${finding} />`)}
      ${
        findings.length > LINES
          ? html`
        <details><summary>${findings.length - LINES} more</summary>
          ${findings.slice(LINES).map((finding) => html`<${Sentence} key=${finding.key} finding=${finding} />`)}
        </details>`
          : null
      }
      ${columns.end?.status === 'failed' ? html`<p class="error" role="alert">Failed: ${columns.end.reason}</p>` : null}
    </article>
  `;
}

/** In a preset's view the preset's own number. @param {{slot: import('../state/signals.js').Slot, columns: import('../../types').Columns}} props */
export function Headline({ slot, columns }) {
  state.dataTick.value;
  const { value: part } = state.part;
  const number = preset.value && toHeadline(preset.value, columns);
  if (number !== null)
    return html`<p class="headline">${number} <small>${preset.value?.told}${part ? ', of all layers' : ''}</small></p>`;
  const told = part && columns.summary && toPartHeadline(columns, part);
  if (told) return html`<p class="headline">${told} <small>${sayPart()}</small></p>`;
  const isOfAll = part && columns.summary;
  return html`<p class="headline">${columns.summary?.headline.text ?? progressOf(slot)}${columns.summary ? null : html`<${SoFar} columns=${columns} />`}${isOfAll ? html` <small>of all layers</small>` : null}</p>`;
}

/** The headline of the latest observation of a trace that grows. @param {{columns: import('../../types').Columns}} props */
function SoFar({ columns }) {
  return columns.story ? html` <small>${columns.story.headline.text}</small>` : null;
}

/** What chosen layers do by themselves, where some are chosen; what follows is of all. @param {{columns: import('../../types').Columns}} props */
function PartStory({ columns }) {
  state.dataTick.value;
  const { value: part } = state.part;
  if (!part || !columns.summary) return null;
  const findings = toPartFindings(columns, part);
  const text = sayPart();
  return html`
    ${findings.length > 0 ? html`<h3>${text[0].toUpperCase() + text.slice(1)}</h3>` : null}
    ${findings.map((finding) => html`<${Sentence} key=${finding.key} finding=${finding} />`)}
    <h3>All layers</h3>
  `;
}

/** @param {string} key */
function showPanel(key) {
  const panel = document.getElementById(`panel-${key}`);
  if (panel) bringIntoSight(panel);
}

const Sentence = still((/** @type {{finding: import('../../types').Finding}} */ { finding }) => {
  const point = () => (state.pointed.value = finding.panel);
  const leave = () => (state.pointed.value = null);
  const numbers = Object.entries(finding.numbers)
    .map(([key, value]) => `${key} ${formatValue(value)}`)
    .join(', ');
  return html`<p><button type="button" class="sentence" title=${numbers} onClick=${() => showPanel(finding.panel)}
    onMouseEnter=${point} onMouseLeave=${leave} onFocus=${point} onBlur=${leave}>${finding.text}</button></p>`;
});

/** @param {import('../state/signals.js').Slot} slot */
function progressOf({ columns, place }) {
  if (columns.end) return columns.end.status;
  if (place) return place === 1 ? 'next in the queue' : `place ${place} in the queue`;
  if (!columns.start) return '…';
  return trainSteps(columns) > 0 || isGrowing(columns)
    ? sayTraining(columns)
    : `${Math.round(100 * shareDone(columns))} %`;
}
