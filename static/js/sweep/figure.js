/** The sweep as a figure and as a table; each cell links to its run. */

import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { inclusiveRange } from '../data/numbers.js';
import { drawPlot, hasPlotly, loadPlotly, plotAreasOf, removePlot } from '../plots/plot.js';
import * as state from '../state/signals.js';
import { notify } from '../ui/clipboard.js';
import { html } from '../ui/html.js';
import { Popover } from '../ui/menu.js';
import { TableBox } from '../ui/table.js';
import { cellText, cornerText, fitSweepFigure, numberText, READING, rowsFromTop } from './cells.js';

/** @typedef {import('../../types').SweepChoice} SweepChoice @typedef {import('../../types').SweepValues} SweepValues */
/** Target of a cell: a run opened on this page, or an address. @typedef {{open?: (row: number, column: number) => void, toHref?: (row: number, column: number) => string}} Lead */

/** Render the figure of a sweep. @param {{sweep: SweepChoice, values: SweepValues, figure: import('../../types').Figure, lead: Lead}} props */
export function SweepFigure({ sweep, values, figure, lead }) {
  const box = useRef(/** @type {HTMLDivElement | null} */ (null));
  const plot = useRef(/** @type {HTMLDivElement | null} */ (null));
  const [areas, setAreas] = useState(/** @type {import('../plots/plot.js').Area[]} */ ([]));
  useLayoutEffect(() => {
    const draw = () => {
      if (!plot.current || !box.current) return;
      const width = box.current.clientWidth;
      const { figure: fitted, height } = fitSweepFigure(figure, width);
      drawPlot(plot.current, fitted, { width, height });
      setAreas(plotAreasOf(plot.current));
    };
    const size = new ResizeObserver(draw);
    let isOver = false;
    const begin = () => {
      if (isOver) return;
      draw();
      if (box.current) size.observe(box.current);
    };
    if (hasPlotly()) begin();
    else
      loadPlotly().then(begin, () =>
        notify("Couldn't load the chart: the server is unreachable. Reload to try again."),
      );
    return () => {
      isOver = true;
      size.disconnect();
    };
  }, [figure]);
  useEffect(
    () => () => {
      if (plot.current?.hasChildNodes()) removePlot(plot.current);
    },
    [],
  );
  return html`
    <div class="sweep-box" ref=${box}>
      <div class="plot" ref=${plot} aria-hidden="true"></div>
      ${areas[0] ? html`<${CellButtons} sweep=${sweep} values=${values} area=${areas[0]} lead=${lead} />` : null}
    </div>
  `;
}

/** Render buttons or links over the cells: Tab reaches one of them, arrow keys the others. @param {{sweep: SweepChoice, values: SweepValues, area: import('../plots/plot.js').Area, lead: Lead}} props */
function CellButtons({ sweep, values, area, lead }) {
  const [at, setAt] = useState({ row: 0, column: 0 });
  const grid = useRef(/** @type {HTMLDivElement | null} */ (null));
  const [rows, columns] = [values.ids.length, values.ids[0].length];
  const [width, height] = [area.width / columns, area.height / rows];
  /** Move the focus. @param {KeyboardEvent} event */
  const move = (event) => {
    const next = cellAfterKey(event, at, { row: rows - 1, column: columns - 1 });
    if (!next) return;
    event.preventDefault();
    setAt(next);
    /** @type {HTMLElement | null | undefined} */ (
      grid.current?.querySelector(`[data-cell="${next.row},${next.column}"]`)
    )?.focus();
  };
  return html`
    <div class="sweep-cells" role="group" aria-label="Cells" ref=${grid} onKeyDown=${move}>
      ${rowsFromTop(values).flatMap((row) =>
        inclusiveRange(0, columns - 1).map((column) => {
          const text = cellText(state.fields.value, sweep, values, row, column);
          const style = {
            left: `${area.left + column * width}px`,
            top: `${area.top + (rows - 1 - row) * height}px`,
            width: `${width}px`,
            height: `${height}px`,
          };
          return html`<${CellLink} key=${`${row},${column}`} lead=${lead} row=${row} column=${column} data-cell=${`${row},${column}`} style=${style} aria-label=${text} title=${text}
          tabindex=${row === at.row && column === at.column ? 0 : -1} onFocus=${() => setAt({ row, column })} />`;
        }),
      )}
    </div>
  `;
}

/** Return the cell of the sweep that an arrow key moves to; null for other keys. @param {KeyboardEvent} event @param {{row: number, column: number}} at @param {{row: number, column: number}} last */
function cellAfterKey({ key, ctrlKey }, at, last) {
  const clip = (/** @type {number} */ value, /** @type {number} */ most) => Math.min(Math.max(value, 0), most);
  if (key === 'Home') return { row: ctrlKey ? last.row : at.row, column: 0 };
  if (key === 'End') return { row: ctrlKey ? 0 : at.row, column: last.column };
  const [up, right] = /** @type {Record<string, [number, number]>} */ ({
    ArrowUp: [1, 0],
    ArrowDown: [-1, 0],
    ArrowLeft: [0, -1],
    ArrowRight: [0, 1],
  })[key] ?? [0, 0];
  return up || right ? { row: clip(at.row + up, last.row), column: clip(at.column + right, last.column) } : null;
}

/** Render a button that opens the run here, or a link to another page. @param {{lead: Lead, row: number, column: number, children?: any, [attribute: string]: any}} props */
function CellLink({ lead, row, column, children, ...rest }) {
  return lead.toHref
    ? html`<a href=${lead.toHref(row, column)} target="_blank" rel="noopener" ...${rest}>${children}</a>`
    : html`<button type="button" onClick=${() => lead.open?.(row, column)} ...${rest}>${children}</button>`;
}

/** Render the cells of a sweep as a table. @param {{sweep: SweepChoice, values: SweepValues, lead: Lead}} props */
export function SweepTable({ sweep, values, lead }) {
  const fields = state.fields.value;
  return html`
    <${TableBox} label="Sweep, table">
      <table class="numbers">
        <thead><tr><th scope="col">${cornerText(fields, sweep)}</th>${sweep.x.values.map((value) => html`<th scope="col">${value}</th>`)}</tr></thead>
        <tbody>${rowsFromTop(values).map(
          (row) => html`
          <tr key=${row}><th scope="row">${sweep.y ? sweep.y.values[row] : ''}</th>
            ${sweep.x.values.map((_, column) => html`<td><${CellLink} class="reset" lead=${lead} row=${row} column=${column} aria-label=${cellText(fields, sweep, values, row, column)}>${numberText(values, row, column)}<//></td>`)}</tr>
        `,
        )}</tbody>
      </table>
    <//>
  `;
}

/** Render how to read the figure of a sweep. @param {{metric: import('../../types').SweepValues['metric']}} props */
export function SweepHelp({ metric }) {
  return html`
    <${Popover} label="Sweep: what it shows" sign="?">
      <h3>Sweep</h3>
      <p>${READING}</p>
      <p>${metric.meaning}</p>
      <dl><dt>Formula</dt><dd class="formula">${metric.formula}</dd><dt>Source</dt><dd>${metric.source}</dd></dl>
    <//>
  `;
}
