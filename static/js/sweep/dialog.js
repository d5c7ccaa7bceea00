/** The Sweep dialog: one number of each run on a grid of two settings. Cells appear as they are computed; each opens its run. */

import { signal } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import { formatSeconds } from '../data/numbers.js';
import { ApiError, estimateSweep, getCatalogue, retryWhileBusy } from '../net/api.js';
import { ROOT } from '../net/sent.js';
import { openShareDialog } from '../share/share.js';
import { toSweepSnippet } from '../share/snippets.js';
import { commit } from '../state/actions.js';
import { theme } from '../state/look.js';
import * as state from '../state/signals.js';
import { toCellView, toSweepBody } from '../state/sweep.js';
import {
  areCellsOf,
  cells,
  computeSweep,
  drawIn,
  isFilling,
  refusal,
  showSweep,
  sourceOf,
  stopSweep,
} from '../state/sweeper.js';
import { Toast } from '../ui/clipboard.js';
import { html } from '../ui/html.js';
import { CopyText, Dialog, Menu } from '../ui/menu.js';
import { changeSweep, closeSweep, waitsForButton } from './button.js';
import { missingText } from './cells.js';
import { SweepChoices } from './choices.js';
import { SweepFigure, SweepHelp, SweepTable } from './figure.js';
import { exportItems } from './files.js';

/** @import { Metric, SweepChoice, SweepValues } from '../../types' */

const catalogue = signal(/** @type {Metric[]} */ ([]));

/** Render the dialog of a sweep. */
export function SweepDialog() {
  const { sweep } = state.view.value;
  const close = () => sweep && closeSweep();
  return html`<${Dialog} title="Sweep" isOpen=${sweep !== undefined} onClose=${close}>${sweep ? html`<${SweepBody} sweep=${sweep} />` : null}<//>`;
}

/** Open the run of a cell: apply its two settings to the view. @param {SweepChoice} sweep @param {number} row @param {number} column */
function openCell(sweep, row, column) {
  commit(() => (state.view.value = toCellView(state.fields.value, state.view.value, sweep, row, column)));
}

/** Render choices, figure and progress of a sweep. @param {{sweep: SweepChoice}} props */
function SweepBody({ sweep }) {
  const [isTable, setIsTable] = useState(false);
  const latestSweep = useRef(sweep);
  latestSweep.current = sweep;
  useEffect(() => {
    if (catalogue.value.length === 0)
      retryWhileBusy(
        () => getCatalogue(),
        () => true,
      ).then((found) => (catalogue.value = found), showRefusal);
    if (!waitsForButton.value || areCellsOf(sweep)) void computeSweep(sweep); // or continue what was shown before closing
    waitsForButton.value = false;
    return () => void stopSweep(latestSweep.current);
  }, []);
  useEffect(() => void (isFilling.value || showSweep(sweep)), [theme.value]); // new cells use the current theme anyway
  const { value: latest } = cells; // read the signal before `areCellsOf`, or the first change would be missed
  const shown = areCellsOf(sweep) ? latest : null;
  const metric = catalogue.value.find((item) => item.key === sweep.metric);
  const isStale = shown !== null && (shown.values.metric.key !== sweep.metric || shown.values.reduce !== sweep.reduce); // until the new number is loaded
  const lead = { open: (/** @type {number} */ row, /** @type {number} */ column) => openCell(sweep, row, column) };
  return html`
    <div class="sweep">
      <${SweepChoices} sweep=${sweep} metrics=${catalogue.value} change=${changeSweep} />
      <div class="sweep-acts">
        ${
          isFilling.value
            ? html`<button type="button" class="primary" onClick=${() => stopSweep(sweep)}>Cancel</button>`
            : html`<button type="button" class="primary" disabled=${isComplete(shown?.values)} onClick=${() => computeSweep(sweep, true)}>Compute ${countRuns(sweep)}</button>`
        }
        ${shown ? html`<${SweepProgress} values=${shown.values} isSnapshot=${sourceOf(sweep)?.isSnapshot === true} />` : html`<${SweepTime} sweep=${sweep} />`}
        ${
          shown
            ? html`<div class="sweep-tools">
          <button type="button" aria-pressed=${isTable} onClick=${() => setIsTable(!isTable)}>Table</button>
          <${SweepHelp} metric=${shown.values.metric} />
          <${Menu} label="Sweep: more" items=${[...exportItems(state.view.value, sweep, shown, () => drawIn(sweep, 'light')), { title: 'Embed', note: 'code for another page', run: () => void openShareDialog('map') }]} />
        </div>`
            : null
        }
      </div>
      ${refusal.value ? html`<p class="error" role="alert">${refusal.value.title}: ${refusal.value.message}</p>` : null}
      ${metric ? html`<p class="meaning">${metric.meaning}</p>` : null}
      ${
        shown
          ? html`<div class=${isStale ? 'stale' : ''} aria-busy=${isStale}>
          ${isTable ? html`<${SweepTable} sweep=${sweep} values=${shown.values} lead=${lead} />` : html`<${SweepFigure} sweep=${sweep} values=${shown.values} figure=${shown.figure} lead=${lead} />`}</div>`
          : html`<p class="sweep-empty hint">${isFilling.value ? 'Computing the first cells …' : 'Each cell is one run.'}</p>`
      }
      ${shown ? html`<p class="hint">Click a cell to open that run. Arrow keys move between cells.</p>` : null}
      <details class="sweep-http"><summary>Show API call</summary>
        <${CopyText} label="curl" text=${toSweepSnippet(location.origin + ROOT, toSweepBody(state.fields.value, state.view.value, sweep), sweep.metric, sweep.reduce)} />
      </details>
      <${Toast} isOver />
    </div>
  `;
}

/** Show why the server refused the sweep. @param {unknown} error */
function showRefusal(error) {
  if (!(error instanceof ApiError)) throw error;
  refusal.value = error;
}

/** Describe the number of runs of a sweep. @param {SweepChoice} sweep */
function countRuns(sweep) {
  const count = sweep.x.values.length * (sweep.y?.values.length ?? 1);
  return count === 1 ? '1 run' : `${count} runs`;
}

/** Render how long the sweep in the dialog would take, or why the server would refuse it. @param {{sweep: SweepChoice}} props */
function SweepTime({ sweep }) {
  const [estimate, setEstimate] = useState('');
  const body = JSON.stringify(toSweepBody(state.fields.value, state.view.value, sweep));
  useEffect(() => {
    const aborted = new AbortController();
    estimateSweep(JSON.parse(body), aborted.signal).then(
      ({ seconds, workers }) => setEstimate(`about ${formatSeconds(seconds / workers)}`),
      (error) => {
        if (aborted.signal.aborted) return;
        if (!(error instanceof ApiError)) throw error;
        setEstimate(error.message);
      },
    );
    return () => aborted.abort();
  }, [body]);
  return html`<span class="cost"><span class="sr">Predicted cost: </span>${estimate}</span>`;
}

/** Return whether all cells of a sweep are computed. @param {SweepValues | undefined} values */
function isComplete(values) {
  return values !== undefined && Object.keys(values.counts).join() === 'done';
}

/** Render how many cells of a sweep are computed. @param {{values: SweepValues, isSnapshot: boolean}} props */
function SweepProgress({ values, isSnapshot }) {
  const all = Object.values(values.counts).reduce((a, b) => a + b, 0);
  const done = values.counts.done ?? 0;
  const failed = values.counts.failed ?? 0;
  const progress = `${done} of ${all} run${all === 1 ? '' : 's'}${failed > 0 ? `, ${failed} failed` : ''}${values.counts.cancelled ? ', cancelled' : ''}`;
  return html`
    <span class="status" role="status">${isSnapshot ? `${missingText(values.counts) || progress}, from this snapshot`.replace('.,', ',') : progress}</span>
    ${values.is_open ? html`<progress max=${all} value=${all - countOpen(values)} aria-label="Cells computed"></progress>` : null}
  `;
}

/** Count the cells that are not computed yet. @param {SweepValues} values */
function countOpen(values) {
  return (values.counts.held ?? 0) + (values.counts.queued ?? 0) + (values.counts.running ?? 0);
}
