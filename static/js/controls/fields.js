/** Controls built from the schema, with the server's bounds, units and help texts; the page has no list of settings. */

import { signal, useComputed } from '@preact/signals';
import { useMemo } from 'preact/hooks';
import { commit, dragTo } from '../state/actions.js';
import { openingView } from '../state/address.js';
import { boot } from '../state/boot.js';
import { EDITS } from '../state/editlist.js';
import { isTooLong } from '../state/hash.js';
import { DEPTH, isNear } from '../state/prefetch.js';
import { checkNumber } from '../state/refusals.js';
import * as state from '../state/signals.js';
import {
  appliesTo,
  hasSingleValue,
  KIND,
  nameOf,
  nearestStop,
  settingOf,
  stopsOf,
  titleInSentence,
} from '../state/spec.js';
import { PlayButton } from '../sweep/play.js';
import { useDraft } from '../ui/draft.js';
import { html, memo } from '../ui/html.js';
import { Lazy } from '../ui/lazy.js';
import { opensEdits } from '../ui/opened.js';
import { DYNAMIC, DynamicNote } from './dynamicnote.js';
import { FieldHelp } from './fieldhelp.js';

/** @typedef {import('../../types').Field} Field @typedef {import('../../types').Value} Value */
/** Target of a control: the common settings, or those of one run. @typedef {{run: number | null}} Target */

const SEGMENTS = 4;
const TITLES = /** @type {Record<string, string>} */ ({
  '': 'Stack',
  connection: 'Mixing',
  block: 'Block',
  input: 'Input',
  train: 'Training',
  numerics: 'Numerics',
  edits: 'Edits',
});
/** Settings shown in another group than in the schema. */
const MOVED = /** @type {Record<string, string>} */ ({
  dtype: 'numerics',
  device: 'numerics',
  cka: 'numerics',
  edits: 'edits',
});
/** Groups that are initially open. */
const OPEN = ['', 'connection'];

/** The search text. */
export const query = signal('');

/** Render the controls of all settings, by group; a search limits them. */
export function Controls() {
  const isSearching = query.value.trim() !== '';
  const found = useFields((field) => isShown(field) && isFound(field));
  if (isSearching && found.length === 0)
    return html`<p class="hint" role="status">No setting matches “${query.value}”.</p>`;
  const groups = [...new Set(found.map(groupOf))].sort((a, b) => Number(a === 'numerics') - Number(b === 'numerics'));
  return html`${groups.map((group) => html`<${FieldGroup} key=${`${group} ${isSearching}`} group=${group} isOpen=${isSearching || OPEN.includes(group) || (group === EDITS && opensEdits.value)} />`)}`;
}

/** Return whether title, path, description or group of a field contain every search word. @param {Field} field */
function isFound(field) {
  if (query.value === '') return true;
  const text = `${field.title} ${field.path} ${field.description} ${TITLES[groupOf(field)] ?? ''}`.toLowerCase();
  return query.value
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

/** Return the group of settings in which a field is shown. @param {Field} field */
function groupOf(field) {
  return MOVED[field.path] ?? field.group;
}

/** Render the controls of a group of settings. @param {{group: string, isOpen: boolean}} props */
function FieldGroup({ group, isOpen }) {
  const fields = useFields((field) => groupOf(field) === group && isShown(field) && isFound(field));
  if (fields.length === 0) return null;
  return html`
    <details class="group" open=${isOpen}>
      <summary>${TITLES[group] ?? nameOf(group)}<${ChangedCount} fields=${fields} /></summary>
      ${fields.map((field) => html`<${Control} key=${field.path} field=${field} target=${COMMON} />`)}
    </details>
  `;
}

/** Return the fields that a condition on signals includes; the component renders again only if they change. @param {(field: Field) => boolean} isIncluded */
export function useFields(isIncluded) {
  const listPaths = () => [...state.fields.value.values()].filter(isIncluded).map(({ path }) => path);
  const paths = useComputed(() => listPaths().join(' ')).value;
  return paths.split(' ').flatMap((path) => state.fields.value.get(path) ?? []);
}

/** Render how many settings of a group differ from the opening view. @param {{fields: Field[]}} props */
function ChangedCount({ fields }) {
  const { base: opening } = openingView();
  const { base } = state.settings.value;
  const count = fields.filter(({ path, initial }) => (base[path] ?? initial) !== (opening[path] ?? initial)).length;
  return count > 0 ? html`<span class="count">${count} changed</span>` : null;
}

/** Return whether a field applies to one of the runs. @param {Field} field */
function isShown(field) {
  if (field.path === KIND || hasSingleValue(field)) return false;
  return state.settings.value.runs.some((choice) => appliesTo(state.fields.value, state.settings.value, choice, field));
}

/** Shared targets, so that controls do not render again. @type {Target} */
const COMMON = { run: null };
/** @type {Target[]} */
const OWN = [...boot.rules.letters].map((_, run) => ({ run }));

/** Return the object that reads and writes the settings of one run. @param {number} run */
export const targetOf = (run) => OWN[run];

/** Render a control; it follows its own value only, because a drag changes one of forty. */
export const Control = memo(function Control(/** @type {{field: Field, target: Target}} */ { field, target }) {
  const { run } = target;
  const path = run === null ? field.path : `${boot.rules.letters[run]}.${field.path}`;
  const id = `setting-${path.replaceAll('.', '-')}`; // the sliders below the picture have ids with field-
  const choiceNow = () => (run === null ? null : state.settings.value.runs[run]) ?? { kind: '', own: {} };
  const value = useComputed(() => settingOf(state.settings.value, choiceNow(), field)).value;
  const error = useComputed(() => {
    const { path: refused, sentence } = refusal.value;
    return (refused === field.path && sentence) || state.fieldErrors.value.get(field.path);
  }).value;
  const set = (/** @type {Value} */ next) =>
    run === null ? state.setBase(field.path, next) : state.setOwn(run, field.path, next);
  const isOwn = useComputed(() => field.path in choiceNow().own).value;
  const Kind = componentOf(field);
  return useMemo(
    () => html`
    <div class=${`field ${error ? 'wrong' : ''}`} data-path=${path}>
      <${Kind} field=${field} id=${id} value=${value} set=${set} run=${run} describedBy=${error ? `${id}-error` : `${id}-help`} help=${html`<${FieldHelp} field=${field} id=${`${id}-help`} />`} />
      ${field.path === DYNAMIC && value && (run === null || isOwn) ? html`<${DynamicNote} run=${run} />` : null}
      ${isOwn && run !== null ? html`<button type="button" class="reset" onClick=${() => commit(() => state.setOwn(run, field.path))}>Use shared ${titleInSentence(field)}</button>` : null}
      ${error ? html`<p class="error" id=${`${id}-error`} role="alert">${error}</p>` : null}
    </div>
  `,
    [field, run, value, error, isOwn],
  );
});

/** Choose the component that renders a field. @param {Field} field */
function componentOf(field) {
  if (field.control === EDITS) return EditsField;
  if (field.control === 'text') return TextControl;
  if (field.control === 'checkbox') return CheckControl;
  if (field.options)
    return field.options.length <= SEGMENTS && field.options.join('').length <= 26 ? SegmentControl : SelectControl;
  return field.control === 'slider' ? SliderControl : NumberControl;
}

/** @typedef {{field: Field, id: string, value: any, set: (value: Value) => void, run?: number | null, describedBy: string, help?: any}} Part */

/** Render the edits, with their own module. @param {Part} props */
function EditsField({ field, id, run = null, help }) {
  return html`
    <div class="row"><span id=${id} title=${field.description}>${field.title}</span>${help}</div>
    <${Lazy} isWanted=${true} load=${run === null ? loadCommon : OWN_EDITS[run]} />
  `;
}

/** Load the control of the edits of one run, or of those that all share. @param {number | null} run */
const loadEdits = (run) => async () => {
  const { EditsControl } = await import('../edits/form.js');
  return () => html`<${EditsControl} run=${run} />`;
};
const loadCommon = loadEdits(null);
const OWN_EDITS = [...boot.rules.letters].map((_, run) => loadEdits(run));

/** Why the last typed value was refused. @type {import('@preact/signals').Signal<{path: string, sentence: string}>} */
const refusal = signal({ path: '', sentence: '' });

/** Render the number input of a setting. @param {Part & {label?: string}} props */
function NumberInput({ field, id, value, set, describedBy, label }) {
  const draft = useDraft(value, (event) => {
    const number = event.target.valueAsNumber;
    const sentence = Number.isFinite(number) ? checkNumber(field, number) : '';
    refusal.value = { path: field.path, sentence };
    if (Number.isFinite(number) && !sentence && number !== value) commit(() => set(number));
    else event.target.value = value;
  });
  return html`<input type="number" id=${id} min=${field.min} max=${field.max} step="any"
    aria-label=${label} aria-describedby=${describedBy} ...${draft} />`;
}

/** Handlers that note whether the pointer is near the depth slider, which starts a prefetch. */
const NEARING = {
  onPointerEnter: () => (isNear.value = true),
  onPointerLeave: () => (isNear.value = false),
  onFocus: () => (isNear.value = true),
  onBlur: () => (isNear.value = false),
};

/** Render a numeric field as a slider between fixed stops; releasing the slider commits the value. @param {Part & {isDisabled?: boolean}} props */
export function RangeInput({ field, id, value, set, describedBy, isDisabled = false }) {
  const stops = useMemo(() => stopsOf(field), [field]);
  const at = nearestStop(stops, value);
  const drag = (/** @type {any} */ event) => dragTo(() => set(stops[Number(event.target.value)]));
  const share = `${(100 * at) / (stops.length - 1)}%`;
  return html`<input type="range" id=${id} min="0" max=${stops.length - 1} step="1" value=${at} style=${{ '--share': share }} disabled=${isDisabled}
    aria-valuetext=${`${value} ${field.unit}`} aria-describedby=${describedBy} onInput=${drag} onChange=${() => commit()} ...${field.path === DEPTH ? NEARING : {}} />`;
}

/** Render a numeric field as a slider with a number input. @param {Part} props */
function SliderControl({ field, id, value, set, describedBy, help }) {
  return html`
    <div class="row"><label for=${id} title=${field.description}>${field.title}</label>${help}<${PlayButton} id=${id} field=${field} value=${value} set=${set} />
      <${NumberInput} field=${field} id=${`${id}-exact`} value=${value} set=${set} describedBy=${describedBy} label=${`${field.title}, exact`} /></div>
    <${RangeInput} field=${field} id=${id} value=${value} set=${set} describedBy=${describedBy} />
  `;
}

/** Render a numeric field as a number input. @param {Part} props */
function NumberControl({ field, id, value, set, describedBy, help }) {
  return html`
    <div class="row"><label for=${id} title=${field.description}>${field.title}</label>${help}
      <${NumberInput} field=${field} id=${id} value=${value} set=${set} describedBy=${describedBy} /></div>
  `;
}

/** Render a field that is true or false as a switch. @param {Part} props */
function CheckControl({ field, id, value, set, describedBy, help }) {
  return html`
    <div class="row"><label for=${id} title=${field.description}>${field.title}</label>${help}
      <input type="checkbox" role="switch" id=${id} checked=${value} aria-describedby=${describedBy}
        onChange=${(/** @type {any} */ event) => commit(() => set(event.target.checked))} /></div>
  `;
}

/** Render a field with many options as a select. @param {Part} props */
function SelectControl({ field, id, value, set, describedBy, help }) {
  return html`
    <div class="row"><label for=${id} title=${field.description}>${field.title}</label>${help}
      <select id=${id} value=${value} aria-describedby=${describedBy} onChange=${(/** @type {any} */ event) => commit(() => set(event.target.value))}>
        ${field.options?.map((option) => html`<option value=${option} selected=${option === value}>${nameOf(option)}</option>`)}
      </select></div>
  `;
}

/** Render a field with few options as radio buttons. @param {Part} props */
function SegmentControl({ field, id, value, set, describedBy, help }) {
  return html`
    <fieldset class="segments" aria-labelledby=${`${id}-title`} aria-describedby=${describedBy}>
      <legend title=${field.description}><span id=${`${id}-title`}>${field.title}</span>${help}</legend>
      ${field.options?.map(
        (option) => html`
        <label><input type="radio" name=${id} value=${option} checked=${option === value} onChange=${() => commit(() => set(option))} /><span>${nameOf(option)}</span></label>
      `,
      )}
    </fieldset>
  `;
}

/** Render a field with long text as a text area. @param {Part} props */
function TextControl({ field, id, value, set, describedBy, help }) {
  const isOwn = value !== field.initial;
  const draft = useDraft(value, (event) => event.target.value && commit(() => set(event.target.value)));
  return html`
    <div class="row"><label for=${id} title=${field.description}>${field.title}</label>${help}
      <span class="hint">${new TextEncoder().encode(value).length} bytes
        ${isOwn ? html` <button type="button" class="reset" onClick=${() => commit(() => set(field.initial))}>Default text</button>` : null}</span></div>
    ${isTooLong(value) ? html`<p class="hint">This text is too long for the address. Use Share for a short link that keeps it.</p>` : null}
    <textarea id=${id} rows="4" aria-describedby=${describedBy} spellcheck="false" ...${draft}></textarea>
  `;
}
