/** The map as a figure whose cells are buttons, and as a table: each cell opens its run in the view. */

import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { commit } from './actions.js';
import { html } from './html.js';
import { lettersIn } from './ink.js';
import { formatValue, range } from './numbers.js';
import { areasOf, drawPlot, removePlot } from './plot.js';
import * as state from './state.js';
import { cells, stopMap } from './sweeper.js';

/** @typedef {import('../types').MapChoice} MapChoice @typedef {import('../types').SweepValues} SweepValues */

const ROW_PX = { wide: 46, narrow: 36 };
const LETTERS_PX = { least: 9, most: 12 }; // of a number in its cell

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
export function MapFigure({ map }) {
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
      const data = shown.figure.data.map((trace) => ({ ...(trace.type === 'scatter' ? fitText(trace, room) : trace), hoverinfo: 'skip' }));
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

/** Numbers as large as their cells have room for, or none. @param {import('../types').Trace} trace @param {number} room in pixels */
function fitText(trace, room) {
  const size = Math.min(LETTERS_PX.most, lettersIn(trace.text, room));
  return { ...trace, visible: size >= LETTERS_PX.least, textfont: { ...trace.textfont, size } };
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
export function MapTable({ map, values }) {
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
