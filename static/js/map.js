/** The map: one number of every run on a grid of two settings. Cells fill as they are computed; each opens its run. */

import { signal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { commit, noteView } from './actions.js';
import { ApiError, estimateSweep, getCatalogue } from './api.js';
import { REDUCTIONS, defaultMap, mapFields, parseValues, toAxis, toSweep } from './grid.js';
import { html } from './html.js';
import { theme } from './look.js';
import { CopyText, Dialog } from './menu.js';
import { formatSeconds, formatValue, range } from './numbers.js';
import { areasOf, drawPlot, removePlot } from './plot.js';
import { toSweepSnippet } from './snippets.js';
import * as state from './state.js';
import { cells, fillMap, isFilling, isShown, refusal, showMap, stopMap } from './sweeper.js';

/**
 * @typedef {import('../types').MapChoice} MapChoice
 * @typedef {import('../types').Metric} Metric
 * @typedef {import('../types').SweepValues} SweepValues
 */

const TABLES = ['layers', 'matrices', 'steps', 'jacobian'];
const GROUPS = /** @type {Record<string, string>} */ ({
  forward: 'Forward pass', backward: 'Backward pass', mixing: 'Composites', similarity: 'Similarity', step: 'Training', jacobian: 'Jacobian',
});
const ROW_PX = { wide: 46, narrow: 36 };
const READABLE_PX = 44; // a cell that has room for its number

const catalogue = signal(/** @type {Metric[]} */ ([]));

export function MapButton() {
  return html`<button type="button" title="One number of every run on a grid of two settings" onClick=${open}>Map</button>`;
}

/** A link's map begins by itself; a hand's waits for the button, for its choice may not be the one that is wanted. */
let isByHand = false;

function open() {
  isByHand = true;
  change(defaultMap(state.fields.value, state.view.value));
}

/** @param {MapChoice | undefined} map */
function change(map) {
  const { map: _, ...rest } = state.view.value;
  state.view.value = map ? { ...rest, map } : rest;
  noteView();
}

export function MapDialog() {
  const { map } = state.view.value;
  const close = () => {
    if (!map) return;
    void stopMap(map);
    change(undefined);
  };
  return html`<${Dialog} title="Map" isOpen=${map !== undefined} onClose=${close}>${map ? html`<${MapBody} map=${map} />` : null}<//>`;
}

/** @param {{map: MapChoice}} props */
function MapBody({ map }) {
  const [isTable, setIsTable] = useState(false);
  useEffect(() => {
    if (catalogue.value.length === 0) getCatalogue().then((found) => (catalogue.value = found), () => undefined);
    if (!isByHand || isShown(map)) void fillMap(map); // or what was there when it was closed
    isByHand = false;
  }, []);
  useEffect(() => showMap(map), [theme.value]);
  const { value: latest } = cells; // read before it is asked whose it is, or nobody would tell of the first
  const shown = isShown(map) ? latest : null;
  const metric = catalogue.value.find((item) => item.key === map.metric);
  return html`
    <div class="map">
      <${Choices} map=${map} />
      <div class="map-acts">
        ${isFilling.value ? html`<button type="button" class="primary" onClick=${() => stopMap(map)}>Cancel</button>`
          : html`<button type="button" class="primary" disabled=${isWhole(shown?.values)} onClick=${() => fillMap(map)}>Compute ${count(map)} runs</button>`}
        ${shown ? html`<${Progress} values=${shown.values} />` : html`<${Cost} map=${map} />`}
        <span class="spacer"></span>
        ${shown ? html`<button type="button" aria-pressed=${isTable} onClick=${() => setIsTable(!isTable)}>Table</button>` : null}
      </div>
      ${refusal.value ? html`<p class="error" role="alert">${refusal.value.title}: ${refusal.value.message}</p>` : null}
      ${metric ? html`<p class="meaning">${metric.meaning}</p>` : null}
      ${shown ? (isTable ? html`<${MapTable} map=${map} values=${shown.values} />` : html`<${MapFigure} map=${map} />`)
        : html`<p class="map-empty hint">${isFilling.value ? 'The first cells are on their way.' : 'Each cell is a run of its own: computed once, kept like any other.'}</p>`}
      ${shown ? html`<p class="hint">A click or Enter opens the cell’s run in the view; the arrow keys move between cells.</p>` : null}
      <details class="map-http"><summary>The same over HTTP</summary>
        <${CopyText} label="curl" text=${toSweepSnippet(location.origin, toSweep(state.fields.value, state.view.value, map), map.metric, map.reduce)} />
      </details>
    </div>
  `;
}

/** @param {MapChoice} map */
function count(map) {
  return map.x.values.length * (map.y?.values.length ?? 1);
}

/** What the grid costs, before anything starts; or why it would be refused. @param {{map: MapChoice}} props */
function Cost({ map }) {
  const [told, setTold] = useState('');
  const body = JSON.stringify(toSweep(state.fields.value, state.view.value, map));
  useEffect(() => {
    const aborted = new AbortController();
    estimateSweep(JSON.parse(body), aborted.signal).then(
      ({ seconds, workers }) => setTold(`≈ ${formatSeconds(seconds / workers)}`),
      (error) => {
        if (aborted.signal.aborted) return;
        if (!(error instanceof ApiError)) throw error;
        setTold(error.message);
      },
    );
    return () => aborted.abort();
  }, [body]);
  return html`<span class="cost"><span class="sr">Predicted cost: </span>${told}</span>`;
}

/** Whether nothing is left to compute. @param {SweepValues | undefined} values */
function isWhole(values) {
  return values !== undefined && Object.keys(values.counts).join() === 'done';
}

/** @param {{values: SweepValues}} props */
function Progress({ values }) {
  const all = Object.values(values.counts).reduce((a, b) => a + b, 0);
  const done = values.counts.done ?? 0;
  const failed = values.counts.failed ?? 0;
  const sentence = `${done} of ${all} runs${failed > 0 ? `, ${failed} failed` : ''}${values.counts.cancelled ? ', cancelled' : ''}`;
  return html`
    <span class="status" role="status">${sentence}</span>
    ${values.is_open ? html`<progress max=${all} value=${all - countOpen(values)} aria-label="Cells computed"></progress>` : null}
  `;
}

/** @param {SweepValues} values */
function countOpen(values) {
  return (values.counts.held ?? 0) + (values.counts.queued ?? 0) + (values.counts.running ?? 0);
}

// ---- what is shown

/** @param {{map: MapChoice}} props */
function Choices({ map }) {
  const { fields: { value: fields }, view: { value: view } } = state;
  const known = mapFields(fields, view, map.run);
  /** @param {Partial<MapChoice>} part */
  const set = (part) => {
    if (isFilling.value) void stopMap(map);
    change({ ...map, ...part });
  };
  /** Another number of the same runs. @param {Partial<MapChoice>} part */
  const see = (part) => {
    const next = { ...map, ...part };
    change(next);
    showMap(next);
  };
  const setRun = (/** @type {number} */ run) => {
    const allowed = mapFields(fields, view, run).map((field) => field.path);
    const x = allowed.includes(map.x.path) ? map.x : toAxis(fields, 'depth');
    change({ ...map, run, x, y: map.y && allowed.includes(map.y.path) && map.y.path !== x.path ? map.y : undefined });
  };
  const metrics = catalogue.value.filter((item) => TABLES.includes(item.table));
  const frames = [...new Set(metrics.map((item) => item.frame))];
  return html`
    <div class="map-choices">
      <${Axis} name="Across" axis=${map.x} known=${known.filter((field) => field.path !== map.y?.path)} set=${(/** @type {any} */ x) => set({ x })} />
      <${Axis} name="Up" axis=${map.y} known=${known.filter((field) => field.path !== map.x.path)} isOptional set=${(/** @type {any} */ y) => set({ y })} />
      <label class="map-choice">Run
        <select value=${map.run} onChange=${(/** @type {any} */ event) => setRun(Number(event.target.value))}>
          ${state.labels.value.map((label, run) => html`<option value=${run} selected=${run === map.run}>${label}</option>`)}
        </select></label>
      <label class="map-choice">Number
        <select value=${map.metric} onChange=${(/** @type {any} */ event) => see({ metric: event.target.value })}>
          ${frames.map((frame) => html`
            <optgroup label=${GROUPS[frame] ?? frame}>
              ${metrics.filter((item) => item.frame === frame).map((item) => html`<option value=${item.key} selected=${item.key === map.metric}>${item.title}</option>`)}
            </optgroup>`)}
        </select></label>
      <label class="map-choice">Over layers
        <select value=${map.reduce} onChange=${(/** @type {any} */ event) => see({ reduce: event.target.value })}>
          ${Object.entries(REDUCTIONS).map(([key, title]) => html`<option value=${key} selected=${key === map.reduce}>${title}</option>`)}
        </select></label>
    </div>
  `;
}

/** A field and its values. @param {{name: string, axis: MapChoice['y'], known: import('../types').Field[], isOptional?: boolean, set: (axis: MapChoice['y']) => void}} props */
function Axis({ name, axis, known, isOptional = false, set }) {
  const [isWrong, setIsWrong] = useState(false);
  const choose = (/** @type {any} */ event) => {
    setIsWrong(false);
    set(event.target.value ? toAxis(state.fields.value, event.target.value) : undefined);
  };
  const enter = (/** @type {any} */ event) => {
    const values = parseValues(event.target.value);
    setIsWrong(values === null);
    if (values && axis) set({ ...axis, values });
  };
  const unit = state.fields.value.get(axis?.path ?? '')?.unit;
  return html`
    <fieldset class="map-axis">
      <legend>${name}</legend>
      <select aria-label=${`${name}: setting`} value=${axis?.path ?? ''} onChange=${choose}>
        ${isOptional ? html`<option value="" selected=${!axis}>nothing</option>` : null}
        ${known.map((field) => html`<option value=${field.path} selected=${field.path === axis?.path}>${field.title}</option>`)}
      </select>
      ${axis ? html`<input type="text" aria-label=${`${name}: values`} title=${unit} value=${axis.values.join(', ')} aria-invalid=${isWrong} onChange=${enter} />` : null}
      ${isWrong ? html`<p class="error" role="alert">Wanted numbers, separated by commas</p>` : null}
    </fieldset>
  `;
}

// ---- the figure

/** Open a cell's run: its two settings, in the view. @param {MapChoice} map @param {number} row @param {number} column */
function openCell(map, row, column) {
  void stopMap(map);
  commit(() => {
    state.view.value = withoutMap(state.view.value);
    const own = state.view.value.runs[map.run].own;
    for (const [axis, index] of /** @type {const} */ ([[map.x, column], [map.y, row]])) {
      if (!axis) continue;
      if (axis.path in own) state.setOwn(map.run, axis.path, axis.values[index]);
      else state.setBase(axis.path, axis.values[index]);
    }
  });
}

/** @param {import('../types').View} view */
function withoutMap({ map: _, ...rest }) {
  return rest;
}

/** What a cell says to those who do not see it. @param {MapChoice} map @param {SweepValues} values @param {number} row @param {number} column */
function cellText(map, values, row, column) {
  const title = (/** @type {string} */ path) => state.fields.value.get(path)?.title ?? path;
  const places = [`${title(map.x.path)} ${map.x.values[column]}`, ...(map.y ? [`${title(map.y.path)} ${map.y.values[row]}`] : [])];
  return `${places.join(', ')}: ${numberText(values, row, column)}`;
}

/** @param {SweepValues} values @param {number} row @param {number} column */
function numberText(values, row, column) {
  return formatValue(values.values[row][column], values.log10[row][column], values.status[row][column]);
}

/** @param {{map: MapChoice}} props */
function MapFigure({ map }) {
  const box = useRef(/** @type {HTMLDivElement | null} */ (null));
  const plot = useRef(/** @type {HTMLDivElement | null} */ (null));
  const [areas, setAreas] = useState(/** @type {import('./plot.js').Area[]} */ ([]));
  const shown = cells.value;
  useLayoutEffect(() => {
    const draw = () => {
      if (!shown || !plot.current || !box.current) return;
      const width = box.current.clientWidth;
      const rows = shown.values.ids.length;
      const isNarrow = width < 480;
      const margin = { ...shown.figure.layout.margin, t: 8 }; // what the title says stands above
      const height = margin.t + margin.b + Math.max(2, rows) * (isNarrow ? ROW_PX.narrow : ROW_PX.wide);
      const room = (width - margin.l - margin.r) / map.x.values.length;
      const data = shown.figure.data.map((trace) => ({ ...trace, texttemplate: room < READABLE_PX ? '' : trace.texttemplate, hoverinfo: 'skip' }));
      drawPlot(plot.current, { data, layout: { ...shown.figure.layout, margin, title: undefined } }, { width, height });
      setAreas(areasOf(plot.current));
    };
    draw();
    const size = new ResizeObserver(draw);
    if (box.current) size.observe(box.current);
    return () => size.disconnect();
  }, [shown?.figure]);
  useEffect(() => () => {
    if (plot.current) removePlot(plot.current);
  }, []);
  return html`
    <div class="map-box" ref=${box}>
      <div ref=${plot} aria-hidden="true"></div>
      ${areas[0] && shown ? html`<${Cells} map=${map} values=${shown.values} area=${areas[0]} />` : null}
    </div>
  `;
}

/** Buttons over the cells: one of them is in the order of Tab, arrows lead to the others. @param {{map: MapChoice, values: SweepValues, area: import('./plot.js').Area}} props */
function Cells({ map, values, area }) {
  const [at, setAt] = useState({ row: 0, column: 0 });
  const grid = useRef(/** @type {HTMLDivElement | null} */ (null));
  const [rows, columns] = [values.ids.length, values.ids[0].length];
  const [width, height] = [area.width / columns, area.height / rows];
  /** @param {KeyboardEvent} event */
  const move = (event) => {
    const [down, right] = /** @type {Record<string, [number, number]>} */ ({ ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] })[event.key] ?? [0, 0];
    if (!down && !right) return;
    event.preventDefault();
    const next = { row: Math.min(Math.max(at.row + down, 0), rows - 1), column: Math.min(Math.max(at.column + right, 0), columns - 1) };
    setAt(next);
    /** @type {HTMLElement | null | undefined} */ (grid.current?.querySelector(`[data-cell="${next.row},${next.column}"]`))?.focus();
  };
  return html`
    <div class="map-cells" role="group" aria-label="Cells" ref=${grid} onKeyDown=${move}>
      ${range(0, rows - 1).flatMap((row) => range(0, columns - 1).map((column) => {
        const text = cellText(map, values, row, column);
        const place = { left: `${area.left + column * width}px`, top: `${area.top + (rows - 1 - row) * height}px`, width: `${width}px`, height: `${height}px` };
        return html`<button type="button" key=${`${row},${column}`} data-cell=${`${row},${column}`} style=${place} aria-label=${text} title=${text}
          tabindex=${row === at.row && column === at.column ? 0 : -1} onFocus=${() => setAt({ row, column })} onClick=${() => openCell(map, row, column)}></button>`;
      }))}
    </div>
  `;
}

/** @param {{map: MapChoice, values: SweepValues}} props */
function MapTable({ map, values }) {
  const title = (/** @type {string | undefined} */ path) => state.fields.value.get(path ?? '')?.title ?? '';
  const corner = map.y ? `${title(map.y.path)} ↓ ${title(map.x.path)} →` : title(map.x.path);
  return html`
    <div class="table-box" tabindex="0" role="region" aria-label="Map, table">
      <table class="numbers">
        <thead><tr><th scope="col">${corner}</th>${map.x.values.map((value) => html`<th scope="col">${value}</th>`)}</tr></thead>
        <tbody>${values.ids.map((row, index) => html`
          <tr><th scope="row">${map.y ? map.y.values[index] : ''}</th>
            ${row.map((_, column) => html`<td><button type="button" class="reset" aria-label=${cellText(map, values, index, column)}
              onClick=${() => openCell(map, index, column)}>${numberText(values, index, column)}</button></td>`)}</tr>
        `)}</tbody>
      </table>
    </div>
  `;
}
