/** The cost card: what every connection costs at this view's stack, and the paper's models on paper. */

import { computed, effect, signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { formatCount, formatSeconds } from '../data/numbers.js';
import { ApiError, getPaperCosts, insist, postCosts } from '../net/api.js';
import { boot } from '../state/boot.js';
import * as state from '../state/signals.js';
import { KIND, kindName, toSpecs } from '../state/view/spec.js';
import { html, still } from '../ui/html.js';
import { Menu, Popover } from '../ui/menu.js';
import { costItems } from './costfiles.js';

/** @typedef {import('../../types').ConnectionCost} ConnectionCost @typedef {import('../../types').PaperCosts} PaperCosts */

/** After the last change of a drag: by then the curves have come, which go first. */
const REST_MS = 800;
const REFERENCE = 'residual';
/** Its settings hold those of all others: streams, drift, rounds. */
const WIDEST = 'mhc';

/** @type {{key: 'parameters' | 'flops' | 'bytes_moved' | 'peak_bytes' | 'seconds', say: (value: number) => string}[]} */
const COLUMNS = [
  { key: 'parameters', say: (value) => formatCount(value, '') },
  { key: 'flops', say: (value) => formatCount(value, 'FLOP') },
  { key: 'bytes_moved', say: (value) => formatCount(value, 'B') },
  { key: 'peak_bytes', say: (value) => formatCount(value, 'B') },
  { key: 'seconds', say: formatSeconds },
];

const costs = signal(/** @type {ConnectionCost[]} */ ([]));
const paper = signal(/** @type {PaperCosts | null} */ (null));
const failure = signal('');
const isStale = signal(false);

/** The settings that all runs share. */
function commonSpec() {
  return toSpecs(state.fields.value, { ...state.settings.value, runs: [{ kind: WIDEST, own: {} }] })[0];
}

/** Keep the costs those of the view's common settings. @returns {() => void} how to stop */
function followCosts() {
  let asked = '';
  let timer = 0;
  let asking = new AbortController();
  const stop = effect(() => {
    if (state.fields.value.size === 0) return;
    const spec = commonSpec();
    const body = JSON.stringify(spec);
    if (body === asked) return;
    asked = body;
    clearTimeout(timer);
    asking.abort();
    asking = new AbortController();
    isStale.value = true;
    timer = setTimeout(() => void ask(spec, asking.signal), REST_MS);
  });
  return () => {
    stop();
    clearTimeout(timer);
    asking.abort();
  };
}

/** @param {any} spec @param {AbortSignal} signal */
async function ask(spec, signal) {
  try {
    const find = () => Promise.all([postCosts(spec, signal), paper.value ?? getPaperCosts(signal)]);
    const [found, printed] = await insist(find, (error) => !signal.aborted && fail(error));
    state.batch(() => {
      costs.value = found;
      paper.value = printed;
      failure.value = '';
      isStale.value = false;
    });
  } catch (error) {
    if (!signal.aborted) fail(error);
  }
}

/** @param {unknown} error */
function fail(error) {
  if (!(error instanceof ApiError)) throw error;
  failure.value = `${error.title}: ${error.message}`;
  return true;
}

/** @param {{level?: 'h1' | 'h2'}} props the heading's level: on a page of its own a card is what the page is about */
export function CostCard({ level = 'h2' }) {
  useEffect(followCosts, []);
  return html`
    <section class="card cost-card" id="panel-cost" aria-labelledby="panel-cost-title">
      <header class="card-head">
        <div class="card-title"><${level} id="panel-cost-title">Cost<//><span class="unit">predicted, of one run</span></div>
        <div class="card-tools"><${CostHelp} /><${Menu} label="Cost: more" items=${costItems(commonSpec, fail)} /></div>
      </header>
      <p class="meaning">What each connection adds to this view's stack: hardly any arithmetic, but memory traffic.${state.hasTrace.value ? ' A trace has no spec, so this is the stack of the settings, not of the trace.' : ''}</p>
      ${failure.value ? html`<p class="error" role="alert">${failure.value}</p>` : null}
      <${CostTables} />
    </section>
  `;
}

export function CostTables() {
  return html`<div class=${`cost-parts ${isStale.value ? 'stale' : ''}`}><${StackTable} /><${PaperTable} /></div>`;
}

const CostHelp = still(() => {
  return html`
    <${Popover} label="Cost: what it shows" sign="?">
      <h3>Cost</h3>
      <p>Every row is the same stack, with the settings that all runs share, joined in another way. Percentages are relative to the
        residual connection, and all bars have one scale.</p>
      <p>Counts are exact, of one forward and one backward pass and of what is measured on the way. Time is the counts over the rates that
        this server measured on one of its CPU cores: here nothing is fused, so that the traffic of n streams shows as time. Peak memory is
        that of the whole process, libraries included.</p>
      <dl><dt>Formula</dt><dd class="formula">added = cost of the connection / cost of residual − 1</dd>
        <dt>Source</dt><dd>Paper's sizes and its 6.7 %: mHC, arXiv 2512.24880. Counts are this program's.</dd></dl>
    <//>
  `;
});

/** Of the compared runs, in a word that stays while their settings change. */
const comparedKinds = computed(() => state.settings.value.runs.map(({ kind }) => kind).join());

/** Letters of the compared runs that have a kind. @param {string} kind */
function lettersOf(kind) {
  const kinds = comparedKinds.value.split(',');
  return kinds.flatMap((other, run) => (other === kind ? [boot.rules.letters[run]] : [])).join(' ');
}

/** Its roles are said, for on a phone its rows are no table rows any more. */
function StackTable() {
  const found = costs.value;
  const reference = found.find((item) => item.connection === REFERENCE);
  if (!reference) return html`<p class="hint">…</p>`;
  const most = Math.max(...found.flatMap((item) => COLUMNS.map(({ key }) => item[key] / reference[key] - 1)));
  const kinds = state.fields.value.get(KIND)?.options ?? [];
  const missing = kinds.filter((kind) => !found.some((item) => item.connection === kind));
  return html`
    <div class="table-box" tabindex="0" role="region" aria-label="Cost of each connection, table">
      <table class="numbers kinds" role="table">
        <caption>This stack, joined in each way</caption>
        <thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">connection</th>${COLUMNS.map(({ key }) => html`<th scope="col" role="columnheader">${boot.rules.costs[key]}</th>`)}</tr></thead>
        <tbody role="rowgroup">${found.map(
          (item) => html`
          <tr role="row" class=${lettersOf(item.connection) ? 'compared-kind' : ''}>
            <th scope="row" role="rowheader">${kindName(item.connection)} <span class="letters">${lettersOf(item.connection)}</span></th>
            ${COLUMNS.map(({ key, say }) => html`<${Cell} text=${say(item[key])} added=${item.added[key]} share=${most > 0 ? Math.max(0, (100 * (item[key] / reference[key] - 1)) / most) : 0} />`)}
          </tr>`,
        )}
        </tbody>
      </table>
      ${missing.length > 0 ? html`<p class="hint">${missing.map(kindName).join(', ')}: not with these settings.</p>` : null}
    </div>
  `;
}

/** @param {{text: string, added: string, share: number}} props `share` of the longest bar, in percent */
function Cell({ text, added, share }) {
  return html`<td role="cell">${text}<small>${added}</small><i class="added" style=${{ '--share': `${share}%` }} aria-hidden="true"></i></td>`;
}

function PaperTable() {
  const printed = paper.value;
  if (!printed) return null;
  const { models } = printed;
  const [least, most] = [models[models.length - 1], models[0]].map((model) => model.mhc.flops_added.slice(1));
  return html`
    <div>
      <div class="table-box" tabindex="0" role="region" aria-label="The paper's models, table">
        <table class="numbers">
          <caption>The paper's models at n = 4, counted</caption>
          <thead>
            <tr><th scope="col" rowspan="2">model</th><th scope="colgroup" colspan="2">arithmetic</th><th scope="colgroup" colspan="2">connection's traffic</th></tr>
            <tr>${['HC', 'mHC', 'HC', 'mHC'].map((name) => html`<th scope="col">${name}</th>`)}</tr>
          </thead>
          <tbody>${models.map(
            (model) => html`
            <tr><th scope="row">${model.shape.name}</th>
              <td>${model.hc.flops_added}</td><td>${model.mhc.flops_added}</td>
              <td>${formatTimes(model.hc.traffic_ratio)}</td><td>${formatTimes(model.mhc.traffic_ratio)}</td></tr>`,
          )}
          </tbody>
        </table>
      </div>
      <p class="paper-claim"><b>The paper reports +${Number((100 * printed.published_overhead).toPrecision(3))} % time</b> for mHC at n = 4, measured in its
        own training system, with fused kernels, recomputation and overlapped communication (${printed.published_source}). By count mHC adds
        ${' '}${least} to ${most} of arithmetic, and moves ${formatTimes(models[0].mhc.traffic_ratio)} the bytes of a residual connection with
        its fused kernel, branches left out. ${hereSentence()}</p>
    </div>
  `;
}

/** @param {number} ratio */
const formatTimes = (ratio) => `${ratio.toFixed(1)} ×`;

/** What mHC adds on this server, beside the paper's figure. */
function hereSentence() {
  const mhc = costs.value.find((item) => item.connection === WIDEST);
  if (!mhc) return '';
  return `Here, unfused on one core and at this size: ${mhc.added.seconds} of time.`;
}
