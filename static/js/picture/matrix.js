/** The mixing matrix of the magnified layer as a table to edit: entries to drag or type, rows to set or exchange, and what replaces all of it. */

import { computed, signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { formatFixed } from '../data/numbers.js';
import { projectToDoublyStochastic } from '../derived/birkhoff.js';
import { boot } from '../state/boot.js';
import { withEntry, withRow } from '../state/editlist.js';
import { canEdit, dragEdits, editsByRun, finishEditDrag, ownEdits, setEdits, undoEdit } from '../state/edits.js';
import * as state from '../state/signals.js';
import { useDraft } from '../ui/draft.js';
import { html, memo } from '../ui/html.js';
import { Menu } from '../ui/menu.js';
import { useWhileSeen } from '../ui/seen.js';
import { shownRuns } from './files.js';
import { weightsAt } from './reading.js';
import { toColors } from './run.js';
import { areEqual } from './shapes.js';
import { magnifiedRun, matrixOpened } from './shown.js';

/** @typedef {import('../../types').Edit} Edit */
/** H_res of a run at a layer, row by row. @typedef {{run: number, layer: number, n: number, entries: number[]}} Matrix */
/** A place in the matrix. @typedef {{row: number, column: number}} Place */

const DIGITS = 6;
const STEP = { px: 0.01, key: 0.01, large: 0.1 }; // change of an entry by a pixel, by an arrow key, and with Shift
const SHOWN_DIGITS = 3;
const CELL_DIGITS = 2; // in the picture, whose cells are narrow
const CLICK_PX = 3; // largest movement of the pointer in a click
const EVEN = 1e-5; // entries this close to each other make a row uniform
const TEXT_STREAMS = 6; // up to so many streams, numbers fit into cells
const MOST_INK = 40; // per cent of a colour behind a number

/** The entry that is being changed by pointer or arrow keys. @type {import('@preact/signals').Signal<Place & {value: number} | null>} */
const moved = signal(null);

/** Return the magnified run and its mixing matrix at the cursor; null if it cannot be edited, undefined while it is not known. @returns {Matrix | null | undefined} */
function magnifiedMatrix() {
  [state.dataTick.value, state.slots.value];
  const { value: templates } = state.templates;
  if (!templates || state.slots.value.length === 0) return undefined;
  const runs = shownRuns(templates);
  const run = magnifiedRun(runs);
  if (run === null) return undefined;
  const layer = state.cursor.value;
  if (!canEdit(run, { layers: [layer, layer], what: 'h_res', do: 'identity' })) return null;
  const { reading } = runs[run];
  const entries = reading && layer < reading.layers ? weightsAt(reading.mix.mean, layer) : null;
  if (!reading || !entries) return undefined;
  return { run, layer, n: reading.streams, entries: Array.from(entries, round) };
}

/** Round an entry to the digits that an edit keeps. @param {number} value */
const round = (value) => Number(value.toPrecision(DIGITS));

/** Return the matrix of the magnified layer: the same object while it is equal, and until the next is known. @param {{current: Element | null}} outer the element around it @returns {Matrix | null} */
export function useMatrix(outer) {
  const last = useRef(/** @type {Matrix | null} */ (null));
  return useWhileSeen(outer, () => {
    const found = magnifiedMatrix();
    if (found !== undefined && !areEqual(found, last.current)) last.current = found;
    return last.current && state.settings.value.runs[last.current.run] ? last.current : null;
  });
}

/** Name a matrix, such as `H_res of layer 20`. @param {Matrix} matrix */
export const nameMatrix = ({ layer }) => `H_res of layer ${layer + 1}`;

/** Describe how a matrix is edited, and whose it is. @param {Matrix} matrix */
export const describeUse = ({ run }) =>
  `Drag a number, or type it. These edits apply to run ${boot.rules.letters[run]} alone.`;

/** Say why a matrix cannot be edited; empty if it can. @param {Matrix} matrix */
export function whyFixed(matrix) {
  const { run, layer } = matrix;
  const isTurned = (editsByRun.value[run] ?? []).some(
    ({ edit: { what, layers } }) => (what === 'stream' || what === 'state') && layers[0] <= layer && layer <= layers[1],
  );
  if (!isTurned) return '';
  return `${nameMatrix(matrix)} of ${state.labels.value[run]} includes the edits of its streams. Remove these to edit the matrix.`;
}

/** Add an edit of H_res to the run alone. @param {Matrix} matrix @param {Partial<Edit> & {do: string}} part */
const add = ({ run, layer }, part) =>
  setEdits(run, [...ownEdits(run), { layers: [layer, layer], what: 'h_res', ...part }]);

/** List the menu items that replace a whole mixing matrix. @param {Matrix} matrix @returns {import('../ui/menu.js').Item[]} */
export function listReplacements(matrix) {
  const project = () =>
    add(matrix, {
      do: 'set',
      values: Array.from(projectToDoublyStochastic(matrix.entries, matrix.n), (value) => Number(value.toFixed(DIGITS))),
    });
  return [
    { title: 'Identity', run: () => add(matrix, { do: 'identity' }) },
    { title: 'Uniform', run: () => add(matrix, { do: 'uniform' }) },
    {
      title: 'Nearest doubly stochastic',
      note: 'Nearest in the Frobenius norm, by Dykstra’s alternating projections',
      run: project,
    },
  ];
}

/** Make a row of a matrix uniform, or that of the identity if it is uniform. @param {Matrix} matrix @param {number} row */
function turnRow({ run, layer, n, entries }, row) {
  const values = rowOf({ n, entries }, row);
  const isUniform = Math.max(...values) - Math.min(...values) < EVEN;
  setEdits(run, withRow(ownEdits(run), layer, row, { do: isUniform ? 'identity' : 'uniform' }));
}

/** Return a row of a matrix. @param {{n: number, entries: number[]}} matrix @param {number} row */
const rowOf = ({ n, entries }, row) => entries.slice(row * n, (row + 1) * n);

/** Render a matrix as a table to edit. @param {{matrix: Matrix, digits?: number}} props `digits` after the point; default 3 */
function EditableTable({ matrix, digits = SHOWN_DIGITS }) {
  const { run, layer, n, entries } = matrix;
  const numbers = Array.from({ length: n }, (_, index) => index);
  const exchange = (/** @type {number} */ row) => add(matrix, { do: 'swap', index: row, other: row + 1 });
  return html`
    <table class=${n > TEXT_STREAMS ? 'dense' : ''}>
      ${numbers.map(
        (row) => html`
        <tr>
          <th scope="row"><button type="button" class="icon" aria-label=${`Set row ${row + 1}`} title="Make the row uniform; again: that of the identity" onClick=${() => turnRow(matrix, row)}>${row + 1}</button></th>
          ${numbers.map(
            (column) =>
              html`<td><${Cell} key=${`${run} ${layer}`} matrix=${matrix} row=${row} column=${column} digits=${digits} value=${entries[row * n + column]} /></td>`,
          )}
          <td>${row < n - 1 ? html`<button type="button" class="icon" aria-label=${`Exchange rows ${row + 1} and ${row + 2}`} title="Exchange with the row below" onClick=${() => exchange(row)}>⇅</button>` : null}</td>
        </tr>`,
      )}
    </table>
  `;
}

/** A table that is rendered only if the matrix changes. */
export const MatrixTable = memo(EditableTable);

/** Colours of the theme; null until the templates are loaded. */
const colors = computed(() => state.templates.value && toColors(state.templates.value.panels[0].figure, []));

/** Return the colour behind an entry: that of its sign, stronger for larger ones. @param {number} value */
function colorOf(value) {
  if (!colors.value) return '';
  const { plus, minus } = colors.value;
  return `color-mix(in srgb, ${value < 0 ? minus : plus} ${MOST_INK * Math.min(1, Math.abs(value))}%, transparent)`;
}

/** Render an entry of a matrix: a number to type, which a drag up or to the right increases, as arrow keys do. @param {{matrix: Matrix, row: number, column: number, value: number, digits: number}} props */
function Cell({ matrix, row, column, value: computed, digits }) {
  const { run, layer } = matrix;
  const own = moved.value?.row === row && moved.value.column === column ? moved.value.value : null;
  const value = own ?? computed;
  const toEdits = (/** @type {number} */ number) =>
    withEntry(ownEdits(run), layer, row, column, number, rowOf(matrix, row));
  const draft = useDraft(Number(value.toFixed(digits)), (event) => {
    const number = event.target.valueAsNumber;
    if (Number.isFinite(number)) setEdits(run, toEdits(number));
    else event.target.value = value;
  });
  const drag = (/** @type {number} */ number) => {
    const rounded = Number(number.toFixed(SHOWN_DIGITS));
    moved.value = { row, column, value: rounded };
    dragEdits(run, toEdits(rounded));
  };
  const drop = () => {
    if (moved.value === null) return;
    moved.value = null;
    finishEditDrag();
  };
  /** Change the entry while an arrow key is down, and undo by the key that does it elsewhere. @param {KeyboardEvent} event */
  const onKeyDown = (event) => {
    const sign = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (event.key === 'u' && !event.ctrlKey && !event.metaKey) undoEdit();
    if (sign === undefined) return;
    event.preventDefault();
    drag(value + sign * (event.shiftKey ? STEP.large : STEP.key));
  };
  return html`<input type="number" step="any" aria-label=${`Row ${row + 1}, column ${column + 1}`} title=${`Row ${row + 1}, column ${column + 1}`}
    style=${{ '--entry': colorOf(value) }} ...${draft} onKeyDown=${onKeyDown} onKeyUp=${drop} onBlur=${drop}
    onPointerDown=${(/** @type {any} */ event) => followDrag(event, (by) => drag(value + STEP.px * by), drop)} />`;
}

/** Follow a pressed pointer until it is released. @param {any} event @param {(by: number) => void} drag gets the movement up and to the right in px @param {() => void} drop */
function followDrag({ clientX, clientY, target }, drag, drop) {
  let isDragged = false;
  const stop = new AbortController();
  const listen = (/** @type {string} */ name, /** @type {(event: any) => void} */ act) =>
    addEventListener(name, act, { signal: stop.signal });
  listen('pointermove', (/** @type {PointerEvent} */ event) => {
    const by = event.clientX - clientX - (event.clientY - clientY);
    if (!isDragged && Math.abs(by) <= CLICK_PX) return;
    isDragged = true;
    drag(by);
  });
  for (const end of ['pointerup', 'pointercancel']) {
    listen(end, () => {
      stop.abort();
      if (!isDragged) return;
      drop();
      target.blur(); // so that keys undo the drag and are not typed
    });
  }
}

/** Close the matrix, and focus the slider of the layer. */
function close() {
  matrixOpened.value = null;
  /** @type {HTMLElement | null} */ (document.querySelector('.picture-layer'))?.focus();
}

/** Render the matrix over the mixing of the magnified layer while it is open. */
export function MatrixInPlace() {
  return matrixOpened.value ? html`<${OpenMatrix} />` : null;
}

/** Render the open matrix, which has the focus if keys opened it. */
function OpenMatrix() {
  const outer = useRef(/** @type {HTMLElement | null} */ (null));
  const matrix = useMatrix(outer);
  const obstacle = matrix ? whyFixed(matrix) : 'This layer has no mixing matrix to edit.';
  useEffect(() => {
    if (matrixOpened.peek() === 'keys') /** @type {HTMLElement} */ (outer.current).querySelector('input')?.focus();
  }, []);
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    const isLeft = event.key === 'Escape' && !outer.current?.querySelector(':popover-open');
    if (isLeft) event.stopPropagation();
    if (isLeft) close();
  };
  return html`
    <section class=${`edits-matrix picture-matrix ${obstacle ? 'refused' : ''}`} aria-label="Mixing matrix" ref=${outer} onKeyDown=${onKeyDown}>
      <header>
        <span>${matrix ? nameMatrix(matrix) : ''}</span>
        ${matrix && !obstacle ? html`<${Menu} label="Replace the matrix" items=${listReplacements(matrix)} />` : null}
        <button type="button" class="icon" aria-label="Close the matrix" title="Close (key: m)" onClick=${close}>✕</button>
      </header>
      ${matrix && !obstacle ? html`<${MatrixTable} matrix=${matrix} digits=${CELL_DIGITS} />` : null}
      <p class="hint">${obstacle || (moved.value ? describeMoved(moved.value) : describeUse(/** @type {Matrix} */ (matrix)))}</p>
    </section>
  `;
}

/** Describe the entry that is being changed. @param {Place & {value: number}} place */
const describeMoved = ({ row, column, value }) =>
  `Row ${row + 1}, column ${column + 1}: ${formatFixed(value, SHOWN_DIGITS)}`;
