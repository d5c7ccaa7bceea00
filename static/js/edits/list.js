/** The list of edits below the picture: each in words with a switch, and what the edits cost in each run. */

import { useLayoutEffect, useRef } from 'preact/hooks';
import { Sentence } from '../cards/results.js';
import { seedsOf } from '../data/record.js';
import { shownOf } from '../figures/drawing.js';
import { boot } from '../state/boot.js';
import { describeEdit, EFFECT } from '../state/editlist.js';
import {
  canUndo,
  editsByRun,
  editsOf,
  hasEdits,
  listRefusing,
  recordedAtlases,
  setEdits,
  targets,
  undoEdit,
} from '../state/edits.js';
import * as state from '../state/signals.js';
import { html } from '../ui/html.js';
import { AtlasButton } from './atlas.js';

/** @typedef {import('../../types').Edit} Edit @typedef {import('../state/edits.js').Target} Target */

/** Render the list of edits below the picture, with their effects. */
export function EditsRow() {
  if (!hasEdits.value) return null;
  return html`<${ShownRow} />`;
}

/** Render the row of edits, and set its height as a property of the style sheet. */
function ShownRow() {
  const outer = useRef(/** @type {HTMLElement | null} */ (null));
  useLayoutEffect(() => {
    const row = /** @type {HTMLElement} */ (outer.current);
    const measure = () => row.style.setProperty('--height', `${row.offsetHeight}px`);
    const follow = new ResizeObserver(measure);
    measure();
    follow.observe(row);
    return () => follow.disconnect();
  }, []);
  return html`
    <section class="edits" aria-label="Edits" ref=${outer}>
      <div class="edits-list">
        ${targets.value.map((target) => html`<${EditList} key=${target} target=${target} />`)}
        ${canUndo.value ? html`<button type="button" class="quiet undo" onClick=${undoEdit} title="Undo the last edit (key: u)">Undo</button>` : null}
        ${recordedAtlases.value.length > 0 ? html`<p class="hint">${recordedAtlases.value.map((run) => state.labels.value[run]).join(' and ')} ${recordedAtlases.value.length > 1 ? 'were' : 'was'} recorded with an atlas of every cut.</p>` : null}
        <${AtlasButton} />
      </div>
      <${Effects} />
    </section>
  `;
}

/** Render the edits of a target as a list. @param {{target: Target}} props */
export function EditList({ target }) {
  const edits = editsOf(target);
  const owner = target === null ? '' : `${boot.rules.letters[target]}: `;
  /** Remove an edit, and move the focus from its button. @param {number} place @param {any} event */
  const remove = (place, event) => {
    const list = event.target.closest('.edits-list, .field');
    setEdits(target, edits.toSpliced(place, 1));
    setTimeout(() => /** @type {HTMLElement | null} */ (list?.querySelector('button'))?.focus());
  };
  const turn = (/** @type {number} */ place) => setEdits(target, edits.with(place, switchEdit(edits[place])));
  return html`
    <ul>
      ${edits.map(
        (edit, place) => html`
        <li class=${edit.isOff ? 'off' : ''}>
          <label><input type="checkbox" role="switch" checked=${!edit.isOff} onChange=${() => turn(place)} /> ${owner}${describeEdit(edit)}</label>
          <button type="button" class="icon" aria-label=${`Remove: ${describeEdit(edit)}`} title="Remove" onClick=${(/** @type {any} */ event) => remove(place, event)}>×</button>
        </li>`,
      )}
    </ul>
    <${Refusals} target=${target} />
  `;
}

/** Switch an edit on or off. @param {Edit} edit @returns {Edit} */
function switchEdit({ isOff, ...edit }) {
  return isOff ? edit : { ...edit, isOff: true };
}

/** Render which runs are computed without edits, and why. @param {{target: Target}} props */
function Refusals({ target }) {
  const refusing = listRefusing(target);
  if (refusing.length === 0) return null;
  const sentences = refusing.map(
    ({ run, reason, refused }) =>
      `${state.labels.value[run]} ${reason}: it runs without ${nameEdits(target, refused)}.`,
  );
  return html`<p class="hint">${sentences.join(' ')}</p>`;
}

/** Name some edits of a target; null for all. @param {Target} target @param {number[] | null} places */
function nameEdits(target, places) {
  if (places === null) return editsOf(target).length > 1 ? 'these edits' : 'this edit';
  return places.map((place) => `“${describeEdit(editsOf(target)[place])}”`).join(', ');
}

/** Render what the edits do to each run, in the order of the runs. */
function Effects() {
  [state.dataTick.value, state.slots.value];
  const found = state.slots.value.flatMap((slot, run) => {
    if ((editsByRun.value[run]?.length ?? 0) === 0) return [];
    const { columns } = shownOf(slot, ({ summary }) => findEffect(summary) !== undefined);
    return [
      {
        label: slot.label,
        full: state.tooltipOf(run, slot.label),
        effect: toEffect(columns),
        isOld: columns !== slot.columns,
      },
    ];
  });
  if (found.length === 0) return null;
  return html`
    <dl class="edits-effects" aria-live="polite">
      ${found.map(({ label, full, effect, isOld }) => html`<dt title=${full}>${label}</dt><dd class=${isOld ? 'stale' : ''}>${effect ? html`<${Sentence} finding=${effect} />` : html`<span class="hint">computing the effect</span>`}</dd>`)}
    </dl>
  `;
}

/** Return the finding about the effect of a run's edits, without the words that name the edits, which the list next to it has; of several seeds it is about the first. Records of earlier versions have only the whole sentence. @param {import('../../types').Columns} columns */
function toEffect(columns) {
  const finding = findEffect(columns.summary);
  const statement = finding?.statement;
  if (!statement) return finding ?? null;
  const seeds = seedsOf(columns);
  const text = seeds > 1 ? `First of ${seeds} seeds: ${statement}` : statement[0].toUpperCase() + statement.slice(1);
  return { ...finding, text };
}

/** Find the finding about the effect of the edits. @param {import('../../types').Columns['summary']} summary */
const findEffect = (summary) => summary?.findings.find(({ key }) => key === EFFECT);
