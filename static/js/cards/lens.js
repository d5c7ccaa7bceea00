/** The Lens dialog: what a run's own read-out makes of every state, and what linear probes read from each stream. */

import { signal } from '@preact/signals';
import { useLayoutEffect } from 'preact/hooks';
import { formatValue } from '../data/numbers.js';
import { ApiError, deleteLens, getLens, postLens } from '../net/api.js';
import { html } from '../ui/html.js';
import { Dialog } from '../ui/menu.js';
import { observed } from './verifying.js';

/** @typedef {import('../../types').Lens} Lens @typedef {import('../state/signals.js').Slot} Slot */
/** A line of a chart: values by row, null where there is none, and its dash. @typedef {{name: string, values: (number | null)[], dash: string}} Line */

const POLL_MS = 500;
const lens = signal(/** @type {{body: Lens | null, failure: string}} */ ({ body: null, failure: '' }));

/** Request the lens of a run and show it as it comes. @param {string} id of the run @param {AbortSignal} aborted */
async function showLens(id, aborted) {
  lens.value = { body: null, failure: '' };
  try {
    let body = await postLens(id, aborted);
    for (;;) {
      if (aborted.aborted) break;
      lens.value = { body, failure: '' };
      if (body.status === 'done') return;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      body = await getLens(id, aborted);
    }
  } catch (error) {
    if (aborted.aborted) return;
    if (!(error instanceof ApiError)) throw error;
    lens.value = { body: null, failure: `${error.title}: ${error.message}` };
  }
}

const close = () => (observed.value = null);

/** Render the dialog with the lens of a run. */
export function LensDialog() {
  const { value: slot } = observed;
  return html`<${Dialog} title=${`Lens ${slot?.label ?? ''}`} isOpen=${slot !== null} onClose=${close}>${slot ? html`<${Content} slot=${slot} />` : null}<//>`;
}

/** Render the lens of a run. A lens that is not done when the dialog closes is cancelled. @param {{slot: Slot}} props */
function Content({ slot }) {
  useLayoutEffect(() => {
    const controller = new AbortController();
    void showLens(slot.id, controller.signal);
    return () => {
      controller.abort();
      if (lens.value.body && lens.value.body.status !== 'done') void deleteLens(slot.id).catch(() => {});
    };
  }, [slot]);
  const { body, failure } = lens.value;
  if (failure) return html`<div class="verify"><p class="error" role="alert">${failure}</p></div>`;
  if (body?.status !== 'done')
    return html`<div class="verify"><p role="status">Reading every layer. <progress aria-label="Lens" value=${body?.done ?? 0} max="1"></progress></p></div>`;
  return html`<div class="verify lens"><${Divergences} lens=${body} /><${Probes} lens=${body} /></div>`;
}

const DASHES = ['6 3', '2 2', '8 3 2 3', '1 3', '10 4', '4 2 1 2'];

/** Return the dash of a stream's line. @param {number} stream */
const dashOf = (stream) => DASHES[stream % DASHES.length];

/** Return what a row is: the embedding, or a layer. @param {number} row */
const nameRow = (row) => (row === 0 ? 'embedding' : String(row));

/** Return the column of a subset of streams. @param {(number | null)[][]} rows @param {number} place */
const columnOf = (rows, place) => rows.map((row) => row[place]);

/** Render the divergences by layer as a chart and as a table with the likeliest tokens. @param {{lens: Lens}} props */
function Divergences({ lens: { subsets, kl, kl_subsets: parts, kl_branches: branches, tokens, context, target } }) {
  const alone = subsets.flatMap((subset, place) => (subset.length === 1 && subsets.length > 1 ? [place] : []));
  const streams = alone.map((place, stream) => ({
    name: `stream ${stream + 1} alone`,
    values: columnOf(parts, place),
    dash: dashOf(stream),
  }));
  const lines = [{ name: 'all streams', values: kl, dash: '' }, ...streams];
  const others = [...lines, { name: 'branch alone', values: [null, ...branches], dash: '' }];
  return html`
    <h3>Read-out at each layer</h3>
    <p class="meaning">The stack's own read-out applied to each state: KL divergence from the final output, in nats. A stream alone has all others at 0.</p>
    <${Chart} label="Divergence from the final output by layer" unit="nats" lines=${lines} format=${formatValue} />
    <p class="meaning">Likeliest next tokens after “${context}”; the data has “${target}”.</p>
    <div class="table-box" tabindex="0" role="region" aria-label="Read-out at each layer, table">
      <table class="numbers">
        <thead><tr><th scope="col">layer</th>${others.map(({ name }) => html`<th scope="col">${name}</th>`)}<th scope="col">likeliest</th></tr></thead>
        <tbody>${tokens.map(
          (names, row) => html`
          <tr><th scope="row">${nameRow(row)}</th>
            ${others.map(({ values }) => html`<td>${values[row] === null ? '–' : formatValue(values[row])}</td>`)}
            <td>${names.map(({ token, probability }) => `${token} ${toPercent(probability)}`).join(', ')}</td></tr>`,
        )}</tbody>
      </table>
    </div>
  `;
}

/** @type {Record<string, string>} */
const TARGETS = { position: 'the position', token: 'the token', next: 'the next token', digit: 'the digit' };

/** Render what linear probes read from each stream. @param {{lens: Lens}} props */
function Probes({ lens: { probes, probed } }) {
  return html`
    <h3>What each stream carries</h3>
    <p class="meaning">Accuracy of a linear map fitted to a stream, on ${probed} tokens that it was not fitted to. Chance is the most frequent class.</p>
    ${probes.map(({ target, chance, accuracy }) => {
      const lines = accuracy[0].map((_, stream) => ({
        name: `stream ${stream + 1}`,
        values: columnOf(accuracy, stream),
        dash: dashOf(stream),
      }));
      const name = TARGETS[target] ?? target;
      return html`
        <h4>${name[0].toUpperCase()}${name.slice(1)}, chance ${toPercent(chance)}</h4>
        <${Chart} label=${`Accuracy for ${name} by layer`} unit="accuracy" lines=${lines} format=${toPercent} level=${chance} />
        <details><summary>Show as table</summary>
          <div class="table-box" tabindex="0" role="region" aria-label=${`Accuracy for ${name}, table`}>
            <table class="numbers">
              <thead><tr><th scope="col">layer</th>${lines.map((line) => html`<th scope="col">${line.name}</th>`)}</tr></thead>
              <tbody>${accuracy.map((row, layer) => html`<tr><th scope="row">${nameRow(layer)}</th>${row.map((value) => html`<td>${toPercent(value)}</td>`)}</tr>`)}</tbody>
            </table>
          </div>
        </details>`;
    })}
  `;
}

/** Format a share as a percentage. @param {number | null} share */
const toPercent = (share) => (share === null ? '–' : `${Number((100 * share).toPrecision(2))} %`);

const SIZE = { width: 600, height: 140, pad: 3 };

/** Draw lines of the lens over the states, the embedding first. @param {{label: string, unit: string, lines: Line[], format: (value: number) => string, level?: number}} props `level`: a value that is marked across the chart */
function Chart({ label, unit, lines, format, level }) {
  const { width, height, pad } = SIZE;
  const count = lines[0].values.length;
  const most = Math.max(level ?? 0, ...lines.flatMap(({ values }) => values.map((value) => value ?? 0))) || 1;
  const toX = (/** @type {number} */ row) => (width * row) / Math.max(1, count - 1);
  const toY = (/** @type {number} */ value) => height - pad - ((height - 2 * pad) * value) / most;
  const pointsOf = (/** @type {Line} */ { values }) =>
    values.flatMap((value, row) => (value === null ? [] : [`${toX(row).toFixed(1)},${toY(value).toFixed(1)}`]));
  return html`
    <div class="lens-chart">
      <span class="most">${format(most)}</span><span class="least">${format(0)}</span>
      <svg viewBox=${`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label=${label}>
        <line x1="0" x2=${width} y1=${toY(0)} y2=${toY(0)} class="axis" />
        ${level === undefined ? null : html`<line x1="0" x2=${width} y1=${toY(level)} y2=${toY(level)} class="axis level" />`}
        ${lines.map((line, place) => html`<polyline points=${pointsOf(line).join(' ')} class="line-${place}" stroke-dasharray=${line.dash} />`)}
      </svg>
      <span class="first">embedding</span><span class="last">layer ${count - 1}</span>
    </div>
    <p class="lens-legend"><span>${unit}:</span>${lines.map(
      ({ name, dash }, place) =>
        html`<span><svg width="30" height="8" aria-hidden="true"><line x1="0" x2="30" y1="4" y2="4" class="line-${place}" stroke-dasharray=${dash} /></svg> ${name}</span>`,
    )}${level === undefined ? null : html`<span><svg width="30" height="8" aria-hidden="true"><line x1="0" x2="30" y1="4" y2="4" class="axis level" /></svg> chance</span>`}</p>
  `;
}
