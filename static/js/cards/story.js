/** One card a run: its headline number and what was found, in words. */

import { shownOf } from '../data/drawing.js';
import { formatSeconds, formatValue } from '../data/numbers.js';
import { depthOf, seedsOf, trainSteps } from '../data/record.js';
import { secondsLeft } from '../state/pace.js';
import * as state from '../state/signals.js';
import { html } from '../ui/html.js';
import { VerifyButton } from './verify.js';

const LINES = 3;

export function Story() {
  return html`
    <section class="story" aria-label="What the runs show">
      ${state.slots.value.map((slot, run) => html`<${RunStory} key=${run} slot=${slot} run=${run} />`)}
    </section>
  `;
}

/** @param {{slot: import('../state/signals.js').Slot, run: number}} props */
function RunStory({ slot, run }) {
  state.dataTick.value;
  const { columns, label } = shownOf(slot, (item) => item.summary !== null);
  const isNew = columns === slot.columns;
  const color = state.templates.value?.runs[run]?.color;
  const findings = columns.summary?.findings ?? [];
  return html`
    <article class=${`card story-card ${isNew ? '' : 'stale'}`} style=${{ '--run': color }}>
      <h2>${label}</h2><${VerifyButton} slot=${slot} />
      <p class="headline">${columns.summary?.headline.text ?? progressOf(slot)}</p>
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

/** Scroll to something, gliding unless the reader wants no motion. @param {Element} element @param {ScrollBehavior} [behavior] */
export function bringIntoSight(element, behavior = 'smooth') {
  const isStill = matchMedia('(prefers-reduced-motion: reduce)').matches;
  element.scrollIntoView({ behavior: isStill ? 'instant' : behavior, block: 'center' });
}

/** @param {string} key */
function showPanel(key) {
  const panel = document.getElementById(`panel-${key}`);
  if (panel) bringIntoSight(panel);
}

/** @param {{finding: import('../../types').Finding}} props */
function Sentence({ finding }) {
  const point = () => (state.pointed.value = finding.panel);
  const leave = () => (state.pointed.value = null);
  const numbers = Object.entries(finding.numbers)
    .map(([key, value]) => `${key} ${formatValue(value)}`)
    .join(', ');
  return html`<p><button type="button" class="sentence" title=${numbers} onClick=${() => showPanel(finding.panel)}
    onMouseEnter=${point} onMouseLeave=${leave} onFocus=${point} onBlur=${leave}>${finding.text}</button></p>`;
}

/** @param {import('../state/signals.js').Slot} slot */
function progressOf({ columns, place }) {
  if (columns.end) return columns.end.status;
  if (place) return place === 1 ? 'next in the queue' : `place ${place} in the queue`;
  if (!columns.start) return '…';
  return trainSteps(columns) > 0 ? trainingOf(columns) : `${Math.round(100 * shareDone(columns))} %`;
}

/** @param {import('../../types').Columns} columns */
function trainingOf(columns) {
  const left = trainSteps(columns) - columns.trained;
  const left_s = left > 0 ? secondsLeft(columns, left) : null; // after the last the trained stack is measured
  const time = left_s === null ? '' : `, ${formatSeconds(left_s)} left`;
  return `step ${columns.trained} of ${trainSteps(columns)}${time}`;
}

/**
 * How much of a run is in: of its steps where it trains, beside which measuring is short; else of its frames, where
 * forward, similarity and backward have one each layer.
 * @param {import('../../types').Columns} columns
 */
export function shareDone(columns) {
  if (columns.end) return 1;
  if (!columns.start) return 0;
  if (trainSteps(columns) > 0) return columns.trained / trainSteps(columns);
  const first = Math.min(1, columns.last / (3 * depthOf(columns) + 5));
  const seeds = seedsOf(columns);
  return (first + (columns.progress ?? 0) * (seeds - 1)) / seeds;
}
