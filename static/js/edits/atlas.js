/** The atlas of all cuts, below the picture: its columns are the layers of the strips above. A click on a cell makes that edit, of runs that are computed here. */

import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { inclusiveRange } from '../data/numbers.js';
import { clearCanvas } from '../picture/canvas.js';
import { mixColors } from '../picture/colors.js';
import { layerAt, toLayout, xOf } from '../picture/layout.js';
import { toPalette } from '../picture/shown.js';
import { useTableSwitch } from '../plots/table.js';
import { download, downloadText, footLine } from '../share/export.js';
import { moveCursor } from '../state/actions.js';
import {
  atlases,
  computeAtlases,
  isComputingAtlases,
  isWanted,
  reasons,
  showCut,
  stopAtlases,
} from '../state/atlas.js';
import {
  cellAfterKey,
  describeCell,
  describeUse,
  effectsOf,
  includesCell,
  largestEffect,
  leastShown,
  listRows,
  toAtlasCsv,
  toAtlasTable,
  toEdit,
  toPercent,
  toPlace,
} from '../state/atlascells.js';
import { ATLAS, CUTS, countParts } from '../state/editlist.js';
import { canEdit, editsByRun, isComputing, ownEdits, setEdits, shownCut, targetOf } from '../state/edits.js';
import * as state from '../state/signals.js';
import { isUnconstrained, stackOf, TRACE } from '../state/spec.js';
import { html } from '../ui/html.js';
import { Menu } from '../ui/menu.js';
import { NumbersTable, TableBox } from '../ui/table.js';

/** @typedef {import('../state/atlascells.js').Cell} Cell @typedef {import('../state/atlascells.js').Part} Part @typedef {import('../picture/layout.js').Layout} Layout */
/** A row of cells at a height. @typedef {ReturnType<typeof listRows>[number] & {y: number}} Row */
/** Positions of everything in the atlas. @typedef {{layout: Layout, rows: Row[], names: {text: string, x: number, y: number}[], height: number, row_px: number}} Plan */

const TITLE = 'Every single cut';
const MEANING = 'How far the last state is from the one without the cut, for a cut of each stream at each layer.';
const NAME = 'mhc-scope-cuts';
const ROW_PX = { wide: 14, medium: 14, narrow: 20 };
const MIN_ROW_PX = 4;
const MOST_PX = 420; // height of all rows, if each has its least
const LABEL_PX = 12; // least distance of two labels
const GAP_PX = 8; // between two runs
const NAME_PX = 18; // above the rows of a run, where there is no room on the left
const ROW_NAME_PX = 72; // width of the longest name of a row, with its gaps
const CROSS_PX = 3;
const READOUT_PX = 20; // from the strips to the text of a cell, on wide screens
const IMAGE = { width: 1200, density: 2, head: 46, foot: 30, pad: 20 };

/** Render the button that opens the atlas and computes it. It receives the focus that the closed atlas loses. */
export function AtlasButton() {
  const button = useRef(/** @type {HTMLButtonElement | null} */ (null));
  const isOpen = shownCut.value !== null;
  const wasOpen = useRef(isOpen);
  useEffect(() => {
    if (wasOpen.current && !isOpen && document.activeElement === document.body) button.current?.focus();
    wasOpen.current = isOpen;
  }, [isOpen]);
  if (!isComputing || isOpen) return null;
  const openAtlas = () => {
    isWanted.value = true;
    showCut(Object.keys(CUTS)[0]);
    setTimeout(() => document.getElementById(ATLAS)?.scrollIntoView({ block: 'nearest' }));
  };
  return html`<button type="button" class="quiet" ref=${button} title="Cut each stream at each layer, one at a time" onClick=${openAtlas} disabled=${reasons.value.every((reason) => reason !== '')}>Map every cut</button>`;
}

/** Render the atlas, if it is open. */
export const AtlasRow = () => (shownCut.value ? html`<${OpenAtlas} />` : null);

/** Render the atlas, which shows what every single cut does, with its tools. */
function OpenAtlas() {
  const { isTable, tableItem } = useTableSwitch();
  const parts = listParts();
  const act = String(shownCut.value);
  const section = useRef(/** @type {HTMLElement | null} */ (null));
  // The button that opened the atlas is gone, and with it the focus.
  useEffect(() => {
    if (isWanted.peek()) section.current?.focus({ preventScroll: true });
  }, []);
  useComputing();
  const items = [
    tableItem,
    ...(parts.length > 0
      ? [
          { title: 'PNG', note: 'image, 2× resolution', run: () => download(drawImage(parts, act), `${NAME}.png`) },
          { title: 'CSV', note: 'all cuts', run: () => downloadText(toAtlasCsv(parts), 'text/csv', `${NAME}.csv`) },
        ]
      : []),
  ];
  return html`
    <section class="atlas" id=${ATLAS} ref=${section} tabindex="-1" aria-label=${TITLE}>
      <header class="card-head">
        <div class="card-title"><h2>${TITLE}</h2><${ColorScale} parts=${parts} act=${act} /></div>
        <div class="card-tools">
          <span class="segments small" role="group" aria-label="What a cut does">
            ${listCuts().map(([key, { title }]) => html`<button type="button" aria-pressed=${key === act} onClick=${() => showCut(key)}>${title}</button>`)}
          </span>
          <${Menu} label=${`${TITLE}: more`} items=${items} />
          <button type="button" class="icon" aria-label="Close the atlas" title="Close" onClick=${closeAtlas}>✕</button>
        </div>
      </header>
      ${isTable ? html`<${AtlasTable} parts=${parts} act=${act} />` : listRows(parts, act).length > 0 ? html`<${AtlasFigure} parts=${parts} act=${act} />` : null}
      <${AtlasProgress} />
      <${MissingReasons} act=${act} />
    </section>
  `;
}

/** List the ways of cutting that a run of the view can have. */
function listCuts() {
  const view = state.settings.value;
  const isWeighing = view.runs.some((choice) => stackOf(state.fields.value, view, choice).weighs_after !== null);
  return Object.entries(CUTS).filter(([, { isOfSources }]) => !isOfSources || isWeighing);
}

/** Close the atlas, and cancel running computations. */
function closeAtlas() {
  stopAtlases();
  showCut(null);
}

/** Compute the wanted atlases once all runs have ended. */
function useComputing() {
  const isDue = isWanted.value && state.isComplete.value && state.phase.value === 'idle';
  useEffect(() => {
    if (isDue) void computeAtlases();
  }, [isDue]);
}

/** List the runs whose atlas is known, in the order of the picture. @returns {Part[]} */
function listParts() {
  const { runs } = state.settings.value;
  const isFree = (/** @type {Part} */ { run }) => Number(isUnconstrained(runs[run].kind));
  const parts = atlases.value.flatMap((entry, run) =>
    entry?.status === 'done' && entry.atlas ? [{ run, label: state.labels.value[run], atlas: entry.atlas }] : [],
  );
  return parts.sort((one, other) => isFree(one) - isFree(other));
}

/** Render how far the computation is, or the button that starts it. */
function AtlasProgress() {
  if (isWanted.value) return html`<p class="hint">This starts once all runs have ended.</p>`;
  if (!isComputingAtlases.value) {
    if (!atlases.value.some((entry) => entry !== null && entry?.status !== 'done')) return null;
    const compute = () => {
      isWanted.value = true;
      document.getElementById(ATLAS)?.focus({ preventScroll: true });
    };
    return html`<p><button type="button" class="primary" onClick=${compute}>Map every cut</button></p>`;
  }
  const run = atlases.value.findIndex((entry) => entry?.status === 'waiting' || entry?.status === 'running');
  const atlas = atlases.value[run]?.atlas;
  const total = atlas ? countCuts(run, atlas) : 0;
  const done = atlas ? Math.round(atlas.done * total) : 0;
  return html`
    <p class="atlas-progress">
      <button type="button" onClick=${stopAtlases}>Cancel</button>
      <progress max=${Math.max(total, 1)} value=${done} aria-label="Cuts done"></progress>
      <span role="status">${state.labels.value[run]}: ${atlas ? `${done} of ${total} cuts` : 'the run without edits comes first'}</span>
    </p>
  `;
}

/** Count the cuts in the atlas of a run. @param {number} run @param {import('../../types').Atlas} atlas */
function countCuts(run, { cuts }) {
  const stack = stackOf(state.fields.value, state.settings.value, state.settings.value.runs[run]);
  return cuts.reduce((count, { what }) => count + countParts(what, stack), 0);
}

/** Render why runs have no atlas, or none of this kind. @param {{act: string}} props */
function MissingReasons({ act }) {
  const sentences = atlases.value.flatMap((entry, run) => {
    const label = state.labels.value[run];
    if (reasons.value[run]) return [`${label} ${reasons.value[run]}.`];
    if (entry?.status === 'failed') return [`${label}: ${entry.message}`];
    if (entry?.status !== 'done' || !entry.atlas || effectsOf(entry.atlas, act)) return [];
    return [`${label} has nothing of this kind to cut.`];
  });
  return sentences.length > 0 ? html`<p class="hint">${sentences.join(' ')}</p>` : null;
}

/** Return the stops of the sequential colours: the upper half of the diverging ones. @returns {[number, string][]} */
function toStops() {
  const found = state.templates.value?.panels.find(({ figure }) => figure.layout.meta.diverging);
  const stops = /** @type {[number, string][]} */ (found?.figure.layout.meta.diverging ?? []);
  return stops.filter(([place]) => place >= 0.5).map(([place, color]) => [2 * place - 1, color]);
}

/** Return the colour of an effect, given as a share of the scale. @param {[number, string][]} stops @param {number} share */
function colorAt(stops, share) {
  const next = Math.max(
    1,
    stops.findIndex(([place]) => place >= share),
  );
  const [[low, from], [high, to]] = [stops[next - 1], stops[next]];
  return mixColors(from, to, (share - low) / (high - low));
}

/** Render the colour scale of an atlas. @param {{parts: Part[], act: string}} props */
function ColorScale({ parts, act }) {
  const most = largestEffect(parts, act);
  const stops = toStops();
  if (most === 0 || stops.length === 0) return html`<span class="unit">${MEANING}</span>`;
  const colors = stops.map(([place, color]) => `${color} ${100 * place}%`).join(', ');
  const seeds = new Set(parts.map(({ atlas }) => atlas.seeds ?? 1));
  const isMedian = Math.max(...seeds) > 1 ? `, median of ${[...seeds].join(' or ')} seeds` : '';
  return html`<span class="unit" title=${MEANING}>change of the last state${isMedian}</span>
    <span class="atlas-scale">≤ ${toPercent(leastShown(most))} <i style=${{ background: `linear-gradient(to right, ${colors})` }}></i> ${toPercent(most)}</span>`;
}

/** Render the figure of the atlas: a cell for each single cut. @param {{parts: Part[], act: string}} props */
function AtlasFigure({ parts, act }) {
  const box = useRef(/** @type {HTMLDivElement | null} */ (null));
  const [width, setWidth] = useState(0);
  const [chosen, setChosen] = useState(/** @type {Cell | null} */ (null));
  const [pointed, setPointed] = useState(/** @type {Cell | null} */ (null));
  useLayoutEffect(() => {
    const outer = /** @type {HTMLDivElement} */ (box.current);
    const follow = new ResizeObserver(() => setWidth(outer.clientWidth));
    follow.observe(outer);
    return () => follow.disconnect();
  }, []);
  const plan = width > 0 ? toPlan(parts, act, width) : null;
  const { value: templates } = state.templates; // read here: an effect would not run again for it
  editsByRun.value;
  useLayoutEffect(() => {
    const canvas = box.current?.querySelector('canvas');
    if (!plan || !canvas || !templates) return;
    const context = clearCanvas(canvas, width, plan.height, devicePixelRatio);
    paintAtlas(context, plan, parts, act, toPalette(templates));
  });
  const at =
    chosen &&
    listRows(parts, act).some(
      (row) => row.run === chosen.run && row.stream === chosen.stream && chosen.layer < row.layers,
    )
      ? chosen
      : null;
  const shown = pointed ?? at;
  const part = parts.find(({ run }) => run === shown?.run);
  const own = at && !pointed ? findEdit(parts, act, at) : null;
  const first = listRows(parts, act)[0];
  const kinds = parts.map(({ run }) => state.settings.value.runs[run].kind);
  const hasRuns = kinds.some((kind) => kind !== TRACE);
  /** Move the chosen cell, or make its edit. @param {KeyboardEvent} event */
  const handleKey = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const from =
      at ?? (first && { run: first.run, stream: first.stream, layer: Math.min(state.cursor.value, first.layers - 1) });
    const isAct = event.key === 'Enter' || event.key === ' ';
    const next = from && (isAct ? from : cellAfterKey(event.key, from, parts, act));
    if (!next) return;
    event.preventDefault();
    event.stopPropagation();
    setPointed(null);
    setChosen(next);
    moveCursor(next.layer);
    if (isAct) switchEdit(parts, act, next);
  };
  /** Return the cell under the pointer. @param {PointerEvent | MouseEvent} event */
  const cellUnder = ({ clientX, clientY }) => {
    const { left, top } = /** @type {HTMLElement} */ (box.current).getBoundingClientRect();
    return plan && cellAt(plan, clientX - left, clientY - top);
  };
  const showPointed = (/** @type {PointerEvent} */ event) => {
    const cell = event.pointerType === 'touch' ? null : cellUnder(event);
    setPointed(cell);
    state.hovered.value = cell?.layer ?? null;
  };
  const clearPointed = () => {
    setPointed(null);
    state.hovered.value = null;
  };
  const chooseCell = (/** @type {any} */ event) => {
    const cell = cellUnder(event);
    if (!cell) return;
    setChosen(cell);
    moveCursor(cell.layer);
    if (event.pointerType !== 'touch') switchEdit(parts, act, cell); // a finger covers several cells
  };
  return html`
    <div class=${`atlas-figure ${plan?.layout.form ?? ''}`}>
    <div class="atlas-box" ref=${box} style=${{ height: `${plan?.height ?? 0}px` }} tabindex="0" role="application"
      aria-label=${`${TITLE}: arrow keys move between cells${hasRuns ? ', Enter makes the edit of a cell or removes it' : ''}`} aria-describedby="atlas-cell"
      onKeyDown=${handleKey} onPointerMove=${showPointed} onPointerLeave=${clearPointed} onClick=${chooseCell}>
      <canvas aria-hidden="true"></canvas>
      ${plan ? html`<${CellMarks} plan=${plan} shown=${shown} />` : null}
    </div>
    <p class="atlas-cell" style=${plan?.layout.form === 'wide' ? { left: `${plan.layout.strips.right + READOUT_PX}px` } : {}}>
      <span id="atlas-cell" aria-live="polite">${part && shown ? describeCellOrGap(part, act, shown) : describeUse(hasRuns, kinds.includes(TRACE))}</span>
      ${at && own ? html`<button type="button" onClick=${() => switchEdit(parts, act, at)}>${own.place >= 0 ? 'Remove this edit' : 'Make this edit'}</button>` : null}
    </p>
    </div>
  `;
}

/** Render the line of the cursor and the frame of a cell over the atlas. @param {{plan: Plan, shown: Cell | null}} props */
function CellMarks({ plan, shown }) {
  const { layout, rows, row_px } = plan;
  const layer = Math.min(state.hovered.value ?? state.cursor.value, layout.layers - 1);
  const row = rows.find((item) => item.run === shown?.run && item.stream === shown.stream);
  const [left, right] = [xOf(layout, layer), xOf(layout, layer + 1)];
  /** @param {number} x @param {number} y @param {number} width @param {number} height */
  const toStyle = (x, y, width, height) => ({
    left: `${x.toFixed(1)}px`,
    top: `${y}px`,
    width: `${Math.max(width, 3).toFixed(1)}px`,
    height: `${height}px`,
  });
  const top = Math.min(...rows.map(({ y }) => y));
  return html`
    <i class="atlas-cursor" style=${toStyle(left, top, right - left, rows[rows.length - 1].y + row_px - top)}></i>
    ${row && shown ? html`<i class="atlas-frame" style=${toStyle(xOf(layout, shown.layer), row.y, xOf(layout, 1) - xOf(layout, 0), row_px)}></i>` : null}
  `;
}

/** Return the edit of a cell, and its place among those of its run, -1 if it is not made; null if it cannot be made, as of a recording. @param {Part[]} parts @param {string} act @param {Cell} cell */
function findEdit(parts, act, cell) {
  const part = parts.find(({ run }) => run === cell.run);
  const edit = part && toEdit(part.atlas, act, cell);
  if (!edit || !canEdit(cell.run, edit)) return null;
  return { edit, place: ownEdits(cell.run).findIndex((other) => includesCell(other, edit)) };
}

/** Make the edit of a cell, or remove it. @param {Part[]} parts @param {string} act @param {Cell} cell */
function switchEdit(parts, act, cell) {
  const found = findEdit(parts, act, cell);
  if (!found) return;
  const edits = ownEdits(cell.run);
  setEdits(targetOf(cell.run), found.place < 0 ? [...edits, found.edit] : edits.toSpliced(found.place, 1));
}

/** Describe a cell, or state that there is nothing to cut, such as a source that the layer does not read. @param {Part} part @param {string} act @param {Cell} cell */
function describeCellOrGap(part, act, cell) {
  const isCut = effectsOf(part.atlas, act)?.[cell.layer]?.[cell.stream] != null;
  return isCut ? `${describeCell(part, act, cell)}.` : 'There is nothing to cut here.';
}

/** Compute the positions of rows and labels of an atlas. @param {Part[]} parts @param {string} act @param {number} width @returns {Plan} */
function toPlan(parts, act, width) {
  const layout = toLayout(width, [1], state.layers.value);
  const count = listRows(parts, act).length;
  const row_px = Math.max(MIN_ROW_PX, Math.min(ROW_PX[layout.form], Math.floor(MOST_PX / Math.max(1, count))));
  const isNarrow = layout.form === 'narrow';
  /** @type {Row[]} */
  const rows = [];
  const names = [];
  let y = 0;
  for (const part of parts) {
    const own = listRows([part], act);
    if (own.length === 0) continue;
    if (isNarrow) y += NAME_PX;
    names.push({ text: part.label, x: layout.bands[0].label.x, y: isNarrow ? y - NAME_PX / 2 : y + row_px / 2 });
    for (const row of own) {
      rows.push({ ...row, y });
      y += row_px;
    }
    y += GAP_PX;
  }
  return { layout, rows, names, height: Math.max(0, y - GAP_PX), row_px };
}

/** Return the cell of the atlas at a point of its figure; null if there is none. @param {Plan} plan @param {number} x @param {number} y @returns {Cell | null} */
function cellAt({ layout, rows, row_px }, x, y) {
  const layer = layerAt(layout, x, 0);
  const row = rows.find((item) => y >= item.y && y < item.y + row_px);
  return row && layer !== null && layer < row.layers ? { run: row.run, stream: row.stream, layer } : null;
}

/** Paint an atlas on a canvas. @param {CanvasRenderingContext2D} context @param {Plan} plan @param {Part[]} parts @param {string} act @param {import('../picture/shapes.js').Palette} palette */
function paintAtlas(context, { layout, rows, names, row_px }, parts, act, palette) {
  const [most, stops] = [largestEffect(parts, act), toStops()];
  context.textBaseline = 'middle';
  for (const { text, x, y } of names) {
    context.font = `600 12px ${palette.font}`;
    context.fillStyle = palette.ink;
    context.textAlign = 'left';
    context.fillText(text, x, y, layout.form === 'narrow' ? undefined : layout.strips.left - x - ROW_NAME_PX);
  }
  for (const row of rows) {
    context.font = `400 11px ${palette.font}`;
    context.fillStyle = palette.muted;
    context.textAlign = 'right';
    const isLabelled = layout.form !== 'narrow' && row.stream % Math.ceil(LABEL_PX / row_px) === 0;
    if (isLabelled) context.fillText(row.name, layout.strips.left - 8, row.y + row_px / 2);
    const made = (editsByRun.value[row.run] ?? []).map(({ edit }) => edit);
    const { atlas } = /** @type {Part} */ (parts.find(({ run }) => run === row.run));
    for (const layer of inclusiveRange(0, row.layers - 1)) {
      const [left, right] = [xOf(layout, layer), xOf(layout, layer + 1)];
      const value = row.values[layer];
      if (value === null) continue; // nothing to cut, or beyond the range of its type
      context.fillStyle = colorAt(stops, toPlace(value, most));
      context.fillRect(left, row.y, right - left - (right - left > 6 ? 1 : 0), row_px - 1);
      const edit = toEdit(atlas, act, { run: row.run, stream: row.stream, layer });
      if (edit && made.some((other) => includesCell(other, edit)))
        paintCross(context, (left + right) / 2, row.y + row_px / 2, palette);
    }
  }
}

/** Paint a cross on a cell whose cut is among the edits of the view. @param {CanvasRenderingContext2D} context @param {number} x @param {number} y @param {import('../picture/shapes.js').Palette} palette */
function paintCross(context, x, y, palette) {
  context.beginPath();
  for (const sign of [-1, 1]) {
    context.moveTo(x - CROSS_PX, y - sign * CROSS_PX);
    context.lineTo(x + CROSS_PX, y + sign * CROSS_PX);
  }
  for (const [color, line] of /** @type {[string, number][]} */ ([
    [palette.card, 4],
    [palette.ink, 1.5],
  ])) {
    context.strokeStyle = color;
    context.lineWidth = line;
    context.stroke();
  }
}

/** Draw the atlas as an image. @param {Part[]} parts @param {string} act @returns {string} a data URL */
function drawImage(parts, act) {
  const palette = toPalette(/** @type {import('../../types').Templates} */ (state.templates.value));
  const plan = toPlan(parts, act, IMAGE.width);
  const height = IMAGE.head + plan.height + IMAGE.foot;
  const canvas = document.createElement('canvas');
  const context = clearCanvas(canvas, IMAGE.width, height, IMAGE.density);
  context.fillStyle = palette.card;
  context.fillRect(0, 0, IMAGE.width, height);
  context.fillStyle = palette.ink;
  context.font = `600 16px ${palette.font}`;
  context.fillText(
    `${TITLE}: ${CUTS[act].title}; change of the last state, at most ${toPercent(largestEffect(parts, act))}`,
    IMAGE.pad,
    26,
  );
  context.fillStyle = palette.muted;
  context.font = `400 11px ${palette.font}`;
  context.fillText(footLine(), IMAGE.pad, height - 10);
  context.translate(0, IMAGE.head);
  paintAtlas(context, plan, parts, act, palette);
  return canvas.toDataURL('image/png');
}

/** Render the numbers of the atlas as a table. @param {{parts: Part[], act: string}} props */
const AtlasTable = ({ parts, act }) => html`
  <${TableBox} label=${`${TITLE}, table`}><${NumbersTable} ...${toAtlasTable(parts, act)} at=${state.cursor.value + 1} /><//>
`;
