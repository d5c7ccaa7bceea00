/** The cost card: the overhead of each connection for this stack as a dot plot, the numbers as tables, and the paper's report. */

import { computed, effect, signal } from '@preact/signals';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { formatCount, formatSeconds, joinPercent } from '../data/numbers.js';
import { ApiError, getPaperCosts, postCosts, postCostsFigure, retryWhileBusy } from '../net/api.js';
import { drawPlot, loadPlotly, removePlot } from '../plots/plot.js';
import { isPrinting } from '../plots/print.js';
import { boot } from '../state/boot.js';
import { theme } from '../state/look.js';
import * as state from '../state/signals.js';
import { KIND, kindName, toSpecs } from '../state/spec.js';
import { shownTheme } from '../state/styles.js';
import { html } from '../ui/html.js';
import { Menu, Popover } from '../ui/menu.js';
import { linkPapers } from '../ui/papers.js';
import { costItems } from './costfiles.js';

/** @typedef {import('../../types').ConnectionCost} ConnectionCost @typedef {import('../../types').PaperCosts} PaperCosts */

/** Delay after the last change of a drag, so that the curves are loaded first. */
const REST_MS = 800;
const REFERENCE = 'residual';
/** The connection with all settings of the others: streams, drift, rounds. */
const WIDEST = 'mhc';

/** @type {{key: 'parameters' | 'flops' | 'bytes_moved' | 'peak_bytes' | 'seconds', format: (value: number) => string}[]} */
const COLUMNS = [
  { key: 'parameters', format: (value) => formatCount(value, '') },
  { key: 'flops', format: (value) => formatCount(value, 'FLOP') },
  { key: 'bytes_moved', format: (value) => formatCount(value, 'B') },
  { key: 'peak_bytes', format: (value) => formatCount(value, 'B') },
  { key: 'seconds', format: formatSeconds },
];

const costs = signal(/** @type {ConnectionCost[]} */ ([]));
const paper = signal(/** @type {PaperCosts | null} */ (null));
const failure = signal('');
const isStale = signal(false);

/** Return the settings that all runs share, as a spec. */
function commonSpec() {
  return toSpecs(state.fields.value, { ...state.settings.value, runs: [{ kind: WIDEST, own: {} }] })[0];
}

/** Request the costs again whenever the common settings change. @returns {() => void} stops following */
function followCosts() {
  let requested = '';
  let timer = 0;
  let pending = new AbortController();
  const stop = effect(() => {
    if (state.fields.value.size === 0) return;
    const spec = commonSpec();
    const body = JSON.stringify(spec);
    if (body === requested) return;
    requested = body;
    clearTimeout(timer);
    pending.abort();
    pending = new AbortController();
    isStale.value = true;
    timer = setTimeout(() => void requestCosts(spec, pending.signal), REST_MS);
  });
  return () => {
    stop();
    clearTimeout(timer);
    pending.abort();
  };
}

/** Load the costs of a stack, and retry while the server is busy. @param {any} spec @param {AbortSignal} signal */
async function requestCosts(spec, signal) {
  try {
    await retryWhileBusy(
      () => loadOnce(spec, signal),
      (error) => !signal.aborted && showFailure(error),
    );
  } catch (error) {
    if (!signal.aborted) showFailure(error);
  }
}

/** Request the costs of a stack once, without retries, and show them. @param {any} spec @param {AbortSignal} signal */
async function loadOnce(spec, signal) {
  const [found, printed] = await Promise.all([postCosts(spec, signal), paper.value ?? getPaperCosts(signal)]);
  state.batch(() => {
    costs.value = found;
    paper.value = printed;
    failure.value = '';
    isStale.value = false;
  });
}

/** Load the costs while the card may be closed, as for a saved file. */
export const loadCosts = () => loadOnce(commonSpec(), new AbortController().signal);

/** Show an error of the server on the card; return true, so that the request is retried. Throw any other error. @param {unknown} error */
function showFailure(error) {
  if (!(error instanceof ApiError)) throw error;
  failure.value = `${error.title}: ${error.message}`;
  return true;
}

/** Render the card of costs. @param {{level?: 'h1' | 'h3'}} props `level`: default `h3`; `h1` on a page with a single card */
export function CostCard({ level = 'h3' }) {
  const [isTable, setIsTable] = useState(false);
  useEffect(followCosts, []);
  const items = useMemo(
    () => [
      { title: isTable ? 'Show the figure' : 'Show as table', run: () => setIsTable(!isTable) },
      ...costItems(commonSpec, showFailure),
    ],
    [isTable],
  );
  return html`
    <section class="card cost-card" id="panel-cost" aria-labelledby="panel-cost-title">
      <header class="card-head">
        <div class="card-title"><${level} id="panel-cost-title">Cost of each connection type<//><span class="unit">per run, estimated</span></div>
        <div class="card-tools"><${CostHelp} /><${Menu} label="Cost: more" items=${items} /></div>
      </header>
      <p class="meaning">What each connection adds to the residual network at this depth and width.${state.hasTrace.value ? ' A recording has no settings, so this is the stack of the settings, not of the recording.' : ''}</p>
      ${failure.value ? html`<p class="error" role="alert">${failure.value}</p>` : null}
      ${isTable ? html`<${CostTables} />` : html`<${CostFigure} />`}<${PaperClaim} />
    </section>
  `;
}

/** Render the server's figure of costs. Load it in the light theme too, because printing cannot wait. */
function CostFigure() {
  const outer = useRef(/** @type {HTMLDivElement | null} */ (null));
  const [figures, setFigures] = useState(/** @type {Record<string, import('../../types').Figure>} */ ({}));
  const { value: found } = costs;
  const { value: screen } = theme;
  const figure = figures[shownTheme.value];
  useEffect(() => {
    if (found.length === 0) return;
    let isOver = false;
    const themes = [...new Set([screen, 'light'])];
    const requested = themes.map(async (name) => [name, await postCostsFigure(commonSpec(), name)]);
    Promise.all([loadPlotly(), ...requested]).then(
      ([, ...answers]) => isOver || setFigures(Object.fromEntries(answers)),
      showFailure,
    );
    return () => {
      isOver = true;
    };
  }, [found, screen]);
  useLayoutEffect(() => {
    const plot = /** @type {HTMLDivElement} */ (outer.current);
    if (!figure) return;
    const draw = () => {
      const { data, layout } = structuredClone(figure);
      if (plot.clientWidth > 0) drawPlot(plot, { data, layout }, { width: plot.clientWidth, height: layout.height });
    };
    draw();
    const follow = new ResizeObserver(draw);
    follow.observe(plot);
    return () => {
      follow.disconnect();
      if (plot.hasChildNodes()) removePlot(plot);
    };
  }, [figure, isPrinting.value]);
  return html`<div class=${`cost-figure ${isStale.value ? 'stale' : ''}`} ref=${outer} role="img" aria-label="Overhead of each connection in time and memory traffic; the numbers are under “Show as table” in the menu"></div>`;
}

/** Render the tables of costs: of this stack, and of the paper's models. */
export function CostTables() {
  return html`<div class=${`cost-parts ${isStale.value ? 'stale' : ''}`}><${StackTable} /><${PaperTable} /></div>`;
}

/** Render how costs are counted, with formula and source. */
const CostHelp = () => {
  return html`
    <${Popover} label="Cost: what it shows" sign="?">
      <h3>Cost</h3>
      <p>Each row is the same stack with another connection, using the settings that all runs share. Percentages are relative to the
        residual connection.</p>
      <p>Counts are exact for one forward and one backward pass with all measurements. Time is the counts divided by the rates that this
        server measured on one of its CPU cores. Nothing is fused here, so the memory traffic of n streams shows as time. Peak memory is
        that of the whole process with its libraries.</p>
      <dl><dt>Formula</dt><dd class="formula">added = cost of the connection / cost of residual − 1</dd>
        <dt>Source</dt><dd>${paper.value ? linkPapers(`Model sizes and time: ${paper.value.published_source}. Counts: ours.`) : null}</dd></dl>
    <//>
  `;
};

/** Kinds of the compared runs, joined to a string that stays the same while other settings change. */
const comparedKinds = computed(() => state.settings.value.runs.map(({ kind }) => kind).join());

/** Join the letters of the compared runs with a connection. @param {string} kind */
function lettersOf(kind) {
  const kinds = comparedKinds.value.split(',');
  return kinds.flatMap((other, run) => (other === kind ? [boot.rules.letters[run]] : [])).join(' ');
}

/** Render the costs of each connection for this stack. Set roles explicitly, because CSS changes the display of rows on phones. */
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
        <caption>Cost of each connection type</caption>
        <thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">connection</th>${COLUMNS.map(({ key }) => html`<th scope="col" role="columnheader">${boot.rules.costs[key]}</th>`)}</tr></thead>
        <tbody role="rowgroup">${found.map(
          (item) => html`
          <tr role="row" class=${lettersOf(item.connection) ? 'compared-kind' : ''}>
            <th scope="row" role="rowheader">${kindName(item.connection)} <span class="letters">${lettersOf(item.connection)}</span></th>
            ${COLUMNS.map(({ key, format }) => html`<${CostCell} text=${format(item[key])} added=${item.added[key]} share=${most > 0 ? Math.max(0, (100 * (item[key] / reference[key] - 1)) / most) : 0} />`)}
          </tr>`,
        )}
        </tbody>
      </table>
      ${missing.length > 0 ? html`<p class="hint">${missing.map(kindName).join(', ')}: not possible with these settings.</p>` : null}
    </div>
  `;
}

/** Render a cell of the cost table: a number with a bar. @param {{text: string, added: string, share: number}} props `share` of the longest bar, in percent */
function CostCell({ text, added, share }) {
  return html`<td role="cell">${text}<small>${added}</small><i class="added" style=${{ '--share': `${share}%` }} aria-hidden="true"></i></td>`;
}

/** Render arithmetic and memory traffic that HC and mHC add to the paper's models. */
function PaperTable() {
  const printed = paper.value;
  if (!printed) return null;
  const { models } = printed;
  return html`
    <div>
      <div class="table-box" tabindex="0" role="region" aria-label="The paper's models, table">
        <table class="numbers">
          <caption>The paper's models at n = 4, counted by us</caption>
          <thead>
            <tr><th scope="col" rowspan="2">model</th><th scope="colgroup" colspan="2">arithmetic</th><th scope="colgroup" colspan="2">connection's traffic</th></tr>
            <tr>${['HC', 'mHC', 'HC', 'mHC'].map((name) => html`<th scope="col">${name}</th>`)}</tr>
          </thead>
          <tbody>${models.map(
            (model) => html`
            <tr><th scope="row">${model.shape.name}</th>
              <td>${model.hc.flops_added}</td><td>${model.mhc.flops_added}</td>
              <td>×${model.hc.traffic_ratio.toFixed(1)}</td><td>×${model.mhc.traffic_ratio.toFixed(1)}</td></tr>`,
          )}
          </tbody>
        </table>
      </div>
    </div>
  `;
}

/** Render the paper's report, our counts for its models, and what mHC adds on this server. */
export function PaperClaim() {
  const printed = paper.value;
  if (!printed) return null;
  const { models } = printed;
  const [least, most] = [models[models.length - 1], models[0]].map((model) =>
    joinPercent(model.mhc.flops_added.slice(1)),
  );
  const saved = `${Math.round(100 * (1 - printed.single_pass_ratio))}\u00a0%`;
  const here = costs.value.find((item) => item.connection === WIDEST);
  return html`
    <div class="paper-claim">
      <p><b>The paper reports +${Number((100 * printed.published_overhead).toPrecision(3))} % time</b> for mHC with 4 streams, in its own training
        system with fused kernels, recomputation and overlapped communication (${linkPapers(printed.published_source)}).</p>
      <p><b>By our count</b> its models get ${least} to ${most} more arithmetic, and the connection alone moves ${models[0].mhc.traffic_ratio.toFixed(1)} times the
        bytes of a residual connection. If each layer reads with the H_pre of the layer before, one pass over the streams replaces two and moves ${saved} less.</p>
      ${here ? html`<p><b>Here</b>, on one CPU core without fused kernels: ${joinPercent(here.added.seconds)} time.</p>` : null}
    </div>
  `;
}
