/** The control of edits in the drawer: their list, a form that adds one, and the mixing matrix of the magnified layer. */

import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { describeUse, listReplacements, MatrixTable, nameMatrix, useMatrix, whyFixed } from '../picture/matrix.js';
import { commit } from '../state/actions.js';
import { EDITS, editRules, isValid, nameAct, nameWhat } from '../state/editlist.js';
import { editsOf, isComputing, setEdits, targetOf } from '../state/edits.js';
import * as state from '../state/signals.js';
import { html } from '../ui/html.js';
import { useWhileSeen } from '../ui/seen.js';
import { AtlasButton } from './atlas.js';
import { EditList } from './list.js';

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
    ${run === null ? html`<p><${AtlasButton} /></p>` : null}
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
  /** Render an input. @param {string} name @param {string} label @param {number | string} value @param {any} [more] attributes */
  const number = (name, label, value, more = {}) =>
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

/** Render H_res of the magnified layer: numbers to type or drag, and what replaces the whole matrix. */
function LayerMatrix() {
  const outer = useRef(/** @type {HTMLDivElement | null} */ (null));
  const matrix = useMatrix(outer);
  return html`<div ref=${outer}>${matrix ? renderMatrix(matrix) : null}</div>`;
}

/** Render the matrix of a layer, and its buttons. @param {import('../picture/matrix.js').Matrix} matrix */
function renderMatrix(matrix) {
  const obstacle = whyFixed(matrix);
  if (obstacle) return html`<p class="hint">${obstacle}</p>`;
  return html`
    <fieldset class="edits-matrix">
      <legend>${nameMatrix(matrix)}, ${state.labels.value[matrix.run]}</legend>
      <${MatrixTable} matrix=${matrix} />
      <p class="choice">
        ${listReplacements(matrix).map(({ title, note, run }) => html`<button type="button" onClick=${run} title=${note}>${title}</button>`)}
      </p>
      <p class="hint">${describeUse(matrix)}</p>
    </fieldset>
  `;
}
