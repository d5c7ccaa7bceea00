/** The results table: a row per run with five numbers, and its findings below. */

import { useRef, useState } from 'preact/hooks';
import { formatFactor, formatRunGain } from '../data/gain.js';
import { formatFixed, joinPercent } from '../data/numbers.js';
import { isGrowing, trainSteps } from '../data/record.js';
import { toIntervalFindings } from '../derived/intervalfindings.js';
import { measureRun } from '../derived/measure.js';
import { isEarlier, shownOf } from '../figures/drawing.js';
import { hasServer } from '../net/sent.js';
import { describeInterval } from '../plots/places.js';
import { preset, toHeadline } from '../state/presets.js';
import * as state from '../state/signals.js';
import { stylesOf } from '../state/styles.js';
import { html, memo } from '../ui/html.js';
import { useWhileSeen } from '../ui/seen.js';
import { fractionDone, trainingProgress } from './progress.js';
import { showSectionOf } from './sections.js';
import { Swatch } from './swatch.js';
import { VerifyMark } from './verifying.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('../state/signals.js').Slot} Slot @typedef {import('../derived/measure.js').Measured} Measured */

/** Columns of the table. @type {{key: Exclude<keyof Measured, 'loss'>, title: string, note: string, format: (log10: number, streams: number | undefined) => string}[]} */
const COLUMNS = [
  { key: 'forward', title: 'Gain, forward', note: 'largest over layers', format: formatRunGain },
  { key: 'backward', title: 'Gain, backward', note: 'largest over layers', format: formatRunGain },
  {
    key: 'activation',
    title: 'Activation',
    note: 'mean of streams, last layer',
    format: (log10) => formatFactor(log10),
  },
  { key: 'gradient', title: 'Gradient', note: 'first layer ÷ last', format: (log10) => formatFactor(log10) },
];

/** Return whether the findings of a run have arrived. @param {Columns} columns */
const hasFindings = (columns) => (columns.summary ?? columns.story) !== null;

/** Render the table of results: one row per run. */
export function Results() {
  const { value: slots } = state.slots;
  const runs = slots.length > 0 ? slots : state.settings.value.runs;
  const notes = [
    ...(state.chosenInterval.value ? [describeInterval()] : []),
    ...(state.hasSeeds.value ? ['medians over seeds', 'loss of the first seed'] : []),
  ];
  return html`
    <section class="results card" aria-labelledby="results-title">
      <h2 id="results-title">Results${notes.length > 0 ? html` <span class="unit">${notes.join(', ')}</span>` : null}</h2>
      <div class="table-box" tabindex="0" role="region" aria-label="Results, table">
        <table class="numbers results-table">
          <thead><tr>
            <th scope="col">Run</th>
            ${COLUMNS.map(({ title, note }) => html`<th scope="col">${title}<small>${note}</small></th>`)}
            <th scope="col">Loss<small>${lossUnit()}</small></th>
            ${hasServer ? html`<th scope="col">Verified</th>` : null}
          </tr></thead>
          <tbody>${runs.map((_, run) => html`<${ResultRow} key=${run} slot=${slots[run]} run=${run} />`)}</tbody>
        </table>
      </div>
    </section>
  `;
}

/** Describe the unit of the loss, and whether the stacks are trained if that is the same for all. */
function lossUnit() {
  const kinds = new Set(state.specs.value.map((spec) => spec.input?.kind ?? 'text'));
  const unit = kinds.size === 1 && (kinds.has('text') || kinds.has('corpus')) ? 'byte' : 'sample';
  const trained = new Set(state.specs.value.map((spec) => Boolean(spec.train?.steps)));
  if (state.hasTrace.value || trained.size !== 1) return `nats per ${unit}`;
  return `nats per ${unit}, ${trained.has(true) ? 'after training' : 'untrained'}`;
}

/** Render the row of a run in the results table. @param {{slot: Slot | undefined, run: number}} props */
function ResultRow({ slot, run }) {
  if (!slot) return html`<tr class="awaited"><th scope="row">…</th></tr>`;
  return html`<${KnownRow} slot=${slot} run=${run} />`;
}

/** Render the numbers and findings of a run. `data-waits` marks numbers that do not follow a moving slider yet. @param {{slot: Slot, run: number}} props */
function KnownRow({ slot, run }) {
  const [isOpen, setOpen] = useState(false);
  const row = useRef(/** @type {HTMLTableRowElement | null} */ (null));
  const shown = useWhileSeen(row, () => ({ slot, ...toCells(slot, run, isOpen, () => setOpen(!isOpen)) }));
  return html`
    <tr class=${shown.isOld ? 'stale' : ''} data-waits=${shown.slot === slot ? null : ''} ref=${row}>${shown.cells}</tr>
    <tr class="findings" id=${`findings-${run}`} hidden=${!isOpen}>${isOpen ? html`<td colspan="7"><${Findings} slot=${slot} /></td>` : null}</tr>
  `;
}

/** Build the cells of a run, and return whether its numbers are of earlier settings. @param {Slot} slot @param {number} run @param {boolean} isOpen whether its findings are shown @param {() => void} toggle shows or hides them */
function toCells(slot, run, isOpen, toggle) {
  state.dataTick.value;
  const style = stylesOf()[run];
  const { label, columns } = shownOf(slot, (item) => item.layers.has('composite_gain_fwd'));
  const isOld = state.isOutdated.value || isEarlier(slot, columns);
  const cells = html`
    <th scope="row" style=${{ '--run': style?.color }}>
      <button type="button" class="reset" aria-expanded=${isOpen} aria-controls=${`findings-${run}`} title=${state.tooltipOf(run, label)} onClick=${toggle}><${Swatch} style=${style} />${label}</button>
      <${Progress} slot=${slot} />
    </th>
    <${Numbers} run=${run} columns=${columns} color=${style?.color} />
    ${hasServer ? html`<td><${VerifyMark} slot=${slot} /></td>` : null}
  `;
  return { isOld, cells };
}

/** Render the numbers of a run. A slider that moves leaves those of runs without its setting as they are. */
const Numbers = memo(
  (/** @type {{run: number, columns: Columns, color: string | undefined}} */ { run, columns, color }) => {
    state.dataTick.value;
    const { loss, ...logs } = measureRun(columns, state.chosenInterval.value);
    return html`
    ${COLUMNS.map(({ key, format }) => html`<${ResultCell} run=${run} name=${key} measured=${logs[key]} format=${(/** @type {number} */ log10) => format(log10, columns.start?.streams)} color=${color} />`)}
    <td data-run=${run} data-metric="loss" data-value=${loss.value}>${loss.value === null ? '–' : formatFixed(loss.value, 2)}<${Sparkline} curve=${loss.curve} color=${color} /></td>
  `;
  },
);

/** Render a number; its data attributes identify the number for tests. @param {{run: number, name: string, measured: Measured['forward'], format: (log10: number) => string, color: string | undefined}} props */
function ResultCell({ run, name, measured: { log10, why, curve }, format, color }) {
  return html`<td data-run=${run} data-metric=${name} data-value=${log10}>${log10 === null ? why : format(log10)}<${Sparkline} curve=${curve} color=${color} /></td>`;
}

const SPARK = { width: 64, height: 18, pad: 2 };

/** Render a curve over the layers, scaled to its own range. @param {{curve: (number | null)[], color: string | undefined}} props */
function Sparkline({ curve, color }) {
  const known = curve.filter((value) => value !== null);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const { width, height, pad } = SPARK;
  const toX = (/** @type {number} */ index) => pad + ((width - 2 * pad) * index) / Math.max(1, curve.length - 1);
  // A curve that changes by less than a factor of 1.26 is drawn flat.
  const toY = (/** @type {number} */ value) =>
    high - low < 0.1 ? height / 2 : height - pad - ((height - 2 * pad) * (value - low)) / (high - low);
  const points = curve.flatMap((value, index) =>
    value === null ? [] : [`${toX(index).toFixed(1)},${toY(value).toFixed(1)}`],
  );
  return html`<svg class="curve" width=${width} height=${height} aria-hidden="true">${known.length > 1 ? html`<polyline points=${points.join(' ')} fill="none" stroke=${color} stroke-width="1.5" />` : null}</svg>`;
}

/** Render the progress of a run until it is done, or why it failed. @param {{slot: Slot}} props */
function Progress({ slot }) {
  const { columns } = slot;
  if (columns.end?.status === 'failed')
    return html`<small class="error" role="alert">failed: ${columns.end.reason}</small>`;
  if (columns.end?.status === 'done' || slot.derived) return null;
  return html`<small>${progressOf(slot)}</small>`;
}

/** Describe the progress of a run: its status at the end, its position in the queue, training steps or percent. @param {Slot} slot */
function progressOf({ columns, place }) {
  if (columns.end) return columns.end.status;
  if (place) return place === 1 ? 'next in the queue' : `place ${place} in the queue`;
  if (!columns.start) return 'waiting';
  return trainSteps(columns) > 0 || isGrowing(columns)
    ? trainingProgress(columns)
    : `${Math.round(100 * fractionDone(columns))} %`;
}

/** Render the findings of a run. @param {{slot: Slot}} props */
function Findings({ slot }) {
  state.dataTick.value;
  const { columns } = shownOf(slot, hasFindings);
  const findings = (columns.summary ?? columns.story)?.findings ?? [];
  const { value: interval } = state.chosenInterval;
  const intervalFindings = interval && columns.summary ? toIntervalFindings(columns, interval) : [];
  if (findings.length === 0) return html`<p>No findings yet.</p>`;
  return html`
    <div class=${columns === slot.columns ? '' : 'stale'}>
      ${intervalFindings.length > 0 ? html`<h3>${describeInterval()}</h3>` : null}
      ${intervalFindings.map((finding) => html`<${Sentence} key=${`interval ${finding.key}`} finding=${finding} />`)}
      ${interval ? html`<h3>all layers</h3>` : null}
      ${findings.map((finding) => html`<${Sentence} key=${finding.key} finding=${finding} />`)}
    </div>
  `;
}

/** Scroll to the figure that a finding names, without animation where the user prefers reduced motion. @param {string} key of a panel */
function showPanel(key) {
  showSectionOf(key);
  const behavior = matchMedia('(prefers-reduced-motion: reduce)').matches ? 'instant' : 'smooth';
  // Its card is rendered with the section.
  requestAnimationFrame(() => document.getElementById(`panel-${key}`)?.scrollIntoView({ behavior, block: 'center' }));
}

/** Render a finding as a button that scrolls to its panel. */
export const Sentence = memo((/** @type {{finding: import('../../types').Finding}} */ { finding }) => {
  const point = () => (state.highlightedPanel.value = finding.panel);
  const leave = () => (state.highlightedPanel.value = null);
  return html`<p><button type="button" class="sentence" onClick=${() => showPanel(finding.panel)}
    onMouseEnter=${point} onMouseLeave=${leave} onFocus=${point} onBlur=${leave}>${joinPercent(finding.text)}</button></p>`;
});

/** Render the main number of a run in a presentation: that of the preset, or the forward gain; its progress until it is known. @param {{slot: Slot, columns: Columns}} props */
export function Headline({ slot, columns }) {
  state.dataTick.value;
  const number = preset.value && toHeadline(preset.value, columns);
  if (number !== null) return html`<p class="headline">${number} <small>${preset.value?.told}</small></p>`;
  const { forward } = measureRun(columns, state.chosenInterval.value);
  if (forward.log10 === null) return html`<p class="headline">${progressOf(slot)}</p>`;
  return html`<p class="headline">${formatRunGain(forward.log10, columns.start?.streams)} <small>gain forward${state.chosenInterval.value ? `, ${describeInterval()}` : ''}</small></p>`;
}
