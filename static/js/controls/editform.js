/** The control of edits in the drawer: their list, a form that adds one, and the mixing matrix of the magnified layer. */

import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { projectToDoublyStochastic } from '../instant/birkhoff.js';
import { shownRuns } from '../picture/files.js';
import { weightsAt } from '../picture/geometry/reading.js';
import { magnifiedRun } from '../picture/shown.js';
import { commit } from '../state/actions.js';
import { boot } from '../state/boot.js';
import {
  canEdit,
  dragEdits,
  dropEdits,
  editsByRun,
  editsOf,
  isComputing,
  ownEdits,
  setEdits,
  targetOf,
} from '../state/edits.js';
import * as state from '../state/signals.js';
import { EDITS, editRules, isValid, nameAct, nameWhat } from '../state/view/edits.js';
import { useDraft } from '../ui/draft.js';
import { html } from '../ui/html.js';
import { useWhileSeen } from '../ui/seen.js';
import { MapButton } from './atlas.js';
import { EditList } from './edits.js';

/** @typedef {import('../../types').Edit} Edit @typedef {import('../state/edits.js').Target} Target */

const NO_SERVER = 'Edited runs need a server.';

/** Render the edits that all runs share, or those of one run. @param {{run: Target}} props */
export function EditsControl({ run }) {
  if (!isComputing) return html`<p class="hint">${NO_SERVER}</p>`;
  if (run !== null && targetOf(run) === null) {
    const separate = () => commit(() => state.setOwn(run, EDITS, String(state.settings.value.base[EDITS] ?? '')));
    return html`<p><button type="button" class="reset" onClick=${separate}>Edits of this run alone</button></p>`;
  }
  return html`
    <${EditList} target=${run} />
    <${AddForm} target=${run} />
    ${run === null ? html`<p><${MapButton} /></p>` : null}
    ${run === null ? html`<${InOpenFold}><${LayerMatrix} /><//>` : null}
  `;
}

/** Return whether an edit has an index: it must, it may, or it cannot. @param {string} what @param {string} act */
function indexRule(what, act) {
  const rules = [undefined, 0].map((index) =>
    isValid({ layers: [0, 0], what, do: act, ...(index === undefined ? {} : { index }) }),
  );
  return rules[0] && rules[1] ? 'may' : rules[1] ? 'must' : 'none';
}

/** Render the form that adds an edit. @param {{target: Target}} props */
function AddForm({ target }) {
  const form = useRef(/** @type {HTMLFormElement | null} */ (null));
  const [what, setWhat] = useState('stream');
  const [chosen, setAct] = useState('zero');
  const acts = editRules.does[what].filter((act) => !editRules.needs.values.includes(act));
  const act = acts.includes(chosen) ? chosen : acts[0];
  const rule = indexRule(what, act);
  const need = Object.keys(editRules.needs).find((name) => editRules.needs[name].includes(act));
  /** Add the edit that the form describes. @param {any} event */
  const add = (event) => {
    event.preventDefault();
    const numbers = Object.fromEntries(new FormData(event.target));
    const numberOf = (/** @type {string} */ name) => Number(numbers[name]);
    const [first, last] = [numberOf('first') - 1, numberOf('last') - 1];
    /** @type {Edit} */
    const edit = {
      layers: [Math.min(first, last), Math.max(first, last)],
      what,
      ...(rule === 'none' || !numbers.index ? {} : { index: numberOf('index') - 1 }),
      do: act,
      ...(need ? { [need]: need === 'other' ? numberOf(need) - 1 : numberOf(need) } : {}),
    };
    setEdits(target, [...editsOf(target), edit]);
  };
  const layer = useWhileSeen(form, () => state.cursor.value + 1);
  const number = (
    /** @type {string} */ name,
    /** @type {string} */ label,
    /** @type {number | string} */ value,
    /** @type {any} */ more = {},
  ) =>
    html`<label>${label} <input type="number" name=${name} min="1" step="1" required defaultValue=${value} ...${more} /></label>`;
  return html`
    <form class="edits-form" ref=${form} onSubmit=${add} aria-label="Add an edit">
      <label>Edit <select value=${what} onChange=${(/** @type {any} */ event) => setWhat(event.target.value)}>
        ${Object.keys(editRules.does).map((item) => html`<option value=${item} selected=${item === what}>${nameWhat(item)}</option>`)}</select></label>
      ${rule === 'none' ? null : number('index', what === 'stream' ? 'number' : what === 'source' ? 'source' : 'row or entry', rule === 'must' ? 1 : '', { required: rule === 'must', placeholder: 'all' })}
      <label>Action <select value=${act} onChange=${(/** @type {any} */ event) => setAct(event.target.value)}>
        ${acts.map((item) => html`<option value=${item} selected=${item === act}>${nameAct(what, item)}</option>`)}</select></label>
      ${need === 'value' ? number('value', 'by', 0.5, { min: act === 'noise' ? 0 : undefined, step: 'any' }) : null}
      ${need === 'other' ? number('other', 'with', 2) : null}
      ${need === 'k' ? number('k', 'entries', 1) : null}
      <span key=${layer}>${number('first', 'layers', layer)}${number('last', 'to', layer)}</span>
      <button type="submit">Add</button>
    </form>
  `;
}

/** Render children while the fold around them is open: the matrix changes with every move of a slider. @param {{children?: any}} props */
function InOpenFold({ children }) {
  const outer = useRef(/** @type {HTMLDivElement | null} */ (null));
  const [isOpen, setOpen] = useState(false);
  useLayoutEffect(() => {
    const fold = outer.current?.closest('details');
    const follow = () => setOpen(fold?.open ?? true);
    follow();
    fold?.addEventListener('toggle', follow);
    return () => fold?.removeEventListener('toggle', follow);
  }, []);
  return html`<div ref=${outer}>${isOpen ? children : null}</div>`;
}

/** Return the magnified run and its mixing matrix at the cursor; null if it has none. */
function magnifiedMatrix() {
  [state.dataTick.value, state.slots.value];
  const { value: templates } = state.templates;
  if (!templates || state.slots.value.length === 0) return null;
  const runs = shownRuns(templates);
  const run = magnifiedRun(runs);
  const layer = state.cursor.value;
  const reading = run === null ? null : runs[run].reading;
  const entries = reading && layer < reading.layers ? weightsAt(reading.mix.mean, layer) : null;
  const isPossible = run !== null && canEdit(run, { layers: [layer, layer], what: 'h_res', do: 'identity' });
  if (run === null || !reading || !entries || !isPossible) return null;
  return { run, layer, n: reading.streams, entries: Array.from(entries, (value) => Number(value.toPrecision(6))) };
}

/** Render H_res of the magnified layer: numbers to type or drag, and what replaces the whole matrix. The last one stays until the next is known. */
function LayerMatrix() {
  const outer = useRef(/** @type {HTMLDivElement | null} */ (null));
  const last = useRef(/** @type {ReturnType<typeof magnifiedMatrix>} */ (null));
  const matrix = useWhileSeen(outer, () => {
    last.current = magnifiedMatrix() ?? last.current;
    return last.current && state.settings.value.runs[last.current.run] ? renderMatrix(last.current) : null;
  });
  return html`<div ref=${outer}>${matrix}</div>`;
}

/** Render the matrix of a layer, and its buttons. @param {NonNullable<ReturnType<typeof magnifiedMatrix>>} found */
function renderMatrix({ run, layer, n, entries }) {
  const name = state.labels.value[run];
  const isTurned = (editsByRun.value[run] ?? []).some(
    ({ edit: { what, layers } }) => (what === 'stream' || what === 'state') && layers[0] <= layer && layer <= layers[1],
  );
  if (isTurned) {
    return html`<p class="hint">H_res of layer ${layer + 1} of ${name} includes the edits of its streams. Remove these to edit the matrix.</p>`;
  }
  /** Add an edit of the matrix to the run alone. @param {Partial<Edit> & {do: string}} part */
  const add = (part) => setEdits(run, [...ownEdits(run), { layers: [layer, layer], what: 'h_res', ...part }]);
  const setRow = (/** @type {number} */ row, /** @type {number} */ column, /** @type {number} */ value) =>
    withRow(ownEdits(run), layer, row, entries.slice(row * n, (row + 1) * n).with(column, value));
  const project = () =>
    add({
      do: 'set',
      values: Array.from(projectToDoublyStochastic(entries, n), (value) => Number(value.toFixed(6))),
    });
  return html`
    <fieldset class="edits-matrix">
      <legend>H_res of layer ${layer + 1}, ${name}</legend>
      <table>
        ${Array.from(
          { length: n },
          (_, row) => html`
          <tr>
            ${Array.from(
              { length: n },
              (_, column) => html`<td><${Cell} key=${`${run} ${layer}`} value=${entries[row * n + column]}
              label=${`Row ${row + 1}, column ${column + 1}`} toEdits=${(/** @type {number} */ value) => setRow(row, column, value)} run=${run} /></td>`,
            )}
            <td>${row < n - 1 ? html`<button type="button" class="icon" aria-label=${`Exchange rows ${row + 1} and ${row + 2}`} title="Exchange with the row below" onClick=${() => add({ do: 'swap', index: row, other: row + 1 })}>⇅</button>` : null}</td>
          </tr>`,
        )}
      </table>
      <p class="choice">
        <button type="button" onClick=${() => add({ do: 'identity' })}>Identity</button>
        <button type="button" onClick=${() => add({ do: 'uniform' })}>Uniform</button>
        <button type="button" onClick=${project} title="Nearest in the Frobenius norm, by Dykstra’s alternating projections">Nearest doubly stochastic</button>
      </p>
      <p class="hint">Type a number, or drag it sideways. These edits apply to run ${boot.rules.letters[run]} alone.</p>
    </fieldset>
  `;
}

/** Return edits in which a row of H_res is set at a layer. @param {readonly Edit[]} edits @param {number} layer @param {number} row @param {number[]} values @returns {Edit[]} */
function withRow(edits, layer, row, values) {
  const last = edits.at(-1);
  const isSame =
    last?.what === 'h_res' &&
    last.do === 'set' &&
    last.index === row &&
    last.layers[0] === layer &&
    last.layers[1] === layer;
  /** @type {Edit} */
  const edit = { layers: [layer, layer], what: 'h_res', index: row, do: 'set', values };
  return [...(isSame ? edits.slice(0, -1) : edits), edit];
}

const STEP_PER_PX = 0.01;
const CLICK_PX = 3;

/** Render an entry of the matrix: a number to type, which a sideways drag changes. @param {{value: number, label: string, toEdits: (value: number) => Edit[], run: number}} props */
function Cell({ value, label, toEdits, run }) {
  const draft = useDraft(Number(value.toFixed(3)), (event) => {
    const number = event.target.valueAsNumber;
    if (Number.isFinite(number)) setEdits(run, toEdits(number));
    else event.target.value = value;
  });
  /** Start a drag: moves change the entry until the pointer is released. @param {any} event */
  const press = (event) => {
    const { clientX } = event;
    let isDragged = false;
    const stop = new AbortController();
    const listen = (/** @type {string} */ name, /** @type {(event: any) => void} */ act) =>
      addEventListener(name, act, { signal: stop.signal });
    listen('pointermove', (/** @type {PointerEvent} */ moved) => {
      const by = moved.clientX - clientX;
      if (!isDragged && Math.abs(by) <= CLICK_PX) return;
      isDragged = true;
      dragEdits(run, toEdits(Number((value + STEP_PER_PX * by).toFixed(3))));
    });
    for (const end of ['pointerup', 'pointercancel']) {
      listen(end, () => {
        stop.abort();
        if (isDragged) dropEdits();
      });
    }
  };
  return html`<input type="number" step="any" aria-label=${label} ...${draft} onPointerDown=${press} />`;
}
