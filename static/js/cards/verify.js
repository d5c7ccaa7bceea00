/** The Verify dialog: checks of a finished run against applicable laws and a recomputation, as a table. */

import { signal } from '@preact/signals';
import { useLayoutEffect } from 'preact/hooks';
import { formatValue } from '../data/numbers.js';
import { modelOf } from '../data/record.js';
import { describeError, getCatalogue, getVerification, postVerification, wait } from '../net/api.js';
import { nameOf } from '../state/spec.js';
import { html } from '../ui/html.js';
import { Dialog } from '../ui/menu.js';
import { basisErrors, verdicts, verified } from './verifying.js';

/** @typedef {import('../../types').Check} Check @typedef {import('../../types').Verification} Verification @typedef {import('../state/signals.js').Slot} Slot */

const POLL_MS = 1000;
/** Signs next to verdicts, so that colour is not needed. */
const SIGNS = { holds: '✓', fails: '✗', skipped: '–' };
const VERDICTS = { holds: 'pass', fails: 'fail', skipped: 'skipped' };
/** @type {Record<string, string>} */
const METRICS = { loss: 'Loss', weights: 'Weights' };

/** @typedef {{status: string, body: Verification | null, failure: string}} VerificationState */
const verification = signal(/** @type {VerificationState} */ ({ status: 'pending', body: null, failure: '' }));

/** Request the verification of a run and show the result in the dialog. @param {string} id of the run @param {AbortSignal} aborted */
async function verifyRun(id, aborted) {
  const update = (/** @type {Partial<VerificationState>} */ changes) => {
    if (!aborted.aborted) verification.value = { status: 'pending', body: null, failure: '', ...changes };
  };
  update({});
  try {
    const [first] = await Promise.all([postVerification(id, aborted), loadMetrics(aborted)]);
    let body = first;
    while (body.status !== 'done') {
      update({ status: body.status });
      await wait(POLL_MS, aborted);
      body = await getVerification(id, aborted);
    }
    update({ status: 'done', body });
    if (body.verdict) verdicts.value = { ...verdicts.value, [id]: body.verdict };
    const basis = body.checks.find(({ law }) => law === 'gauge');
    basisErrors.value = { ...basisErrors.value, [id]: basis?.measured ?? null };
  } catch (error) {
    if (aborted.aborted) return;
    update({ failure: describeError(error) });
  }
}

/** Load the titles of metrics, for the table of checks. @param {AbortSignal} aborted */
async function loadMetrics(aborted) {
  if (METRICS.act_rms) return;
  for (const { key, title } of await getCatalogue(aborted)) METRICS[key] = title;
}

const close = () => (verified.value = null);

/** Render the dialog with the verification of a run. */
export function VerifyDialog() {
  const { value: slot } = verified;
  return html`<${Dialog} title=${`Verify ${slot?.label ?? ''}`} isOpen=${slot !== null} onClose=${close}>${slot ? html`<${Content} slot=${slot} />` : null}<//>`;
}

/** Render the verification of a run. @param {{slot: Slot}} props */
function Content({ slot }) {
  useLayoutEffect(() => {
    const controller = new AbortController();
    void verifyRun(slot.id, controller.signal);
    return () => controller.abort();
  }, [slot]);
  const isTrace = modelOf(slot.columns) !== null;
  const { status, body, failure } = verification.value;
  if (failure) return html`<div class="verify"><p class="error" role="alert">${failure}</p></div>`;
  return html`
    <div class="verify">
      <div role="status">${body ? html`<${Verdict} body=${body} />` : html`<p>${isTrace ? CHECKED : (WAITING[status] ?? status)} <progress aria-label="Verification"></progress></p>`}</div>
      ${body ? html`<${Checks} checks=${body.checks} isTrace=${isTrace} />` : null}
    </div>
  `;
}

/** Shown for a recording, which cannot be recomputed. */
const CHECKED = 'Checking the numbers of the recording against each other.';
/** @type {Record<string, string>} */
const WAITING = {
  pending: 'Recomputing the run in float64.',
  queued: 'The recomputation is queued.',
  running: 'Recomputing the run in float64.',
};

/** Render whether all checks of a run hold. @param {{body: Verification}} props */
function Verdict({ body: { verdict, summary } }) {
  return verdict && html`<p class="verdict ${verdict}">${SIGNS[verdict]} ${summary}</p>`;
}

/** Render the table of checks. @param {{checks: Check[], isTrace: boolean}} props */
function Checks({ checks, isTrace }) {
  return html`
    <div class="table-box" tabindex="0" role="region" aria-label="Checks, table">
      <table class="numbers">
        <thead><tr>${['verdict', 'check', 'metric', 'layer', 'expected', 'measured', 'difference', 'tolerance'].map((title) => html`<th scope="col">${title}</th>`)}</tr></thead>
        <tbody>${checks.map(
          (check) => html`
          <tr class=${check.verdict}>
            <td class="verdict ${check.verdict}"><span aria-hidden="true">${SIGNS[check.verdict]}</span> ${VERDICTS[check.verdict]}</td>
            <th scope="row">${nameOf(check.law)}<small>${check.statement} <i>${check.source}</i></small>
              <details><summary>What this catches</summary>${check.detects}</details></th>
            <td>${METRICS[check.metric] ?? check.metric}</td>
            <td>${check.layer === null ? '' : check.layer + 1}</td>
            <td>${formatCheckValue(check, check.expected)}</td>
            <td>${formatCheckValue(check, check.measured)}</td>
            <td>${formatDistance(check, distanceOf(check))}</td>
            <td>${formatDistance(check, check.tolerance)}</td>
          </tr>`,
        )}
        </tbody>
      </table>
    </div>
    <p class="hint">Each check is shown at the layer where it comes closest to failing. It passes if the difference is at most the tolerance.${isTrace ? '' : ' A correct run can fail a statistical check by chance; then another seed passes.'}</p>
  `;
}

/** Compute the difference between the expected and the measured value of a check. @param {Check} check */
function distanceOf({ expected, measured }) {
  return expected === null || measured === null ? null : Math.abs(measured - expected);
}

/** Format an expected or measured value; log10 values are converted to plain numbers. @param {Check} check @param {number | null} value */
function formatCheckValue({ scale, verdict }, value) {
  if (value === null) return verdict === 'fails' ? 'nan' : '–';
  return scale === 'log10' ? formatValue(Math.abs(value) < 300 ? 10 ** value : null, value) : formatValue(value);
}

/** Format a difference or tolerance; decades become a percentage or a factor. @param {Check} check @param {number | null} distance */
function formatDistance({ scale }, distance) {
  if (distance === null) return '–';
  if (scale !== 'log10') return formatValue(distance);
  const share = Math.expm1(distance * Math.LN10);
  return share < 0.1 ? `${formatValue(100 * share)} %` : `× ${formatValue(1 + share)}`;
}
