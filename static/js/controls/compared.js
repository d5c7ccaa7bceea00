/** The compared runs: each with line style, connection and overrides. */

import { signal, useComputed } from '@preact/signals';
import { useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import { Swatch } from '../cards/swatch.js';
import { isVerifiable, observed, openVerification } from '../cards/verifying.js';
import { specOf } from '../data/record.js';
import { AtlasButton } from '../edits/atlas.js';
import { shortenName } from '../figures/labels.js';
import { hasServer } from '../net/sent.js';
import { commit, showDifference } from '../state/actions.js';
import { boot } from '../state/boot.js';
import { EDITS } from '../state/editlist.js';
import { isComputing, recordedAtlases } from '../state/edits.js';
import * as state from '../state/signals.js';
import {
  appliesTo,
  connections,
  groupKinds,
  hasSingleValue,
  KIND,
  nameOf,
  TRACE,
  textOf,
  titleInSentence,
  toDifferences,
} from '../state/spec.js';
import { chosenStyles } from '../state/styles.js';
import { html } from '../ui/html.js';
import { Menu, Popover } from '../ui/menu.js';
import { NumbersTable, TableBox } from '../ui/table.js';
import { FieldHelp } from './fieldhelp.js';
import { Control, targetOf, useFields } from './fields.js';
import { OpenTrace, Twin } from './traces.js';

const SHOWN_LETTERS = 11; // characters of a model's name that fit into a select
const TRACED = "Recorded from a model, so settings don't apply.";

/** Render the compared runs, buttons that add one, and their differences. */
export function ComparedRuns() {
  const runs = useComputed(() => state.settings.value.runs).value;
  const kind = state.fields.value.get(KIND);
  return html`
    <section class="compared" aria-label="ComparedRuns runs">
      <div class="compared-head"><h3 class="group-title">Runs</h3>${kind ? html`<${FieldHelp} field=${kind} id="field-kind-help" />` : null}</div>
      ${runs.map((choice, run) => html`<${ComparedRun} key=${run} choice=${choice} run=${run} isOnly=${runs.length === 1} />`)}
      <div class="adds">
        ${runs.length < boot.rules.letters.length ? html`<button type="button" class="add" onClick=${() => commit(state.addRun)}>+ Add a run</button>` : null}
        ${hasServer ? html`<${OpenTrace} />` : null}
      </div>
      <${DifferenceSwitch} />
      <${Differences} />
    </section>
  `;
}

/** Render the switch for differences to run A. */
function DifferenceSwitch() {
  const others = useComputed(() => boot.rules.letters.slice(1, state.settings.value.runs.length)).value;
  if (!others) return null;
  const comparisons = [...others].map((letter) => `${letter} − A`).join(', ');
  return html`
    <div class="row">
      <label class="choice">
        <input type="checkbox" checked=${state.isDifference.value} onChange=${(/** @type {any} */ event) => showDifference(event.target.checked)} />
        <span>Relative to A <small class="hint">${comparisons}</small></span>
      </label>
      <${Popover} label="Relative to A: help" sign="?" className="icon field-help">
        <h3>Relative to A</h3>
        <p>Shows each run minus run A; on logarithmic axes, the ratio to A. A single stream counts as equal streams that do not mix.</p>
      <//>
    </div>
  `;
}

/** Render name, style and menu of a run. @param {{choice: import('../../types').Choice, run: number, isOnly: boolean}} props */
function ComparedRun({ choice, run, isOnly }) {
  const letter = boot.rules.letters[run];
  const known = state.fields.value.get(KIND)?.options ?? [choice.kind];
  const model = choice.kind === TRACE ? state.models.value[run] : null;
  const isCut = Boolean(model && model.length > SHOWN_LETTERS);
  return html`
    <div class="run">
      <div class="row">
        <${RunSwatch} run=${run} />
        <span class="letter">${letter}</span>
        <select aria-label=${`Connection of run ${letter}`} aria-describedby=${`field-kind-help${isCut ? ` model-${letter}` : ''}`} title=${isCut ? model : null} value=${choice.kind}
          onChange=${(/** @type {any} */ event) => commit(() => state.setKind(run, event.target.value))}>
          ${choice.kind === TRACE ? html`<option value=${TRACE} selected>${model ? shortenName(model, SHOWN_LETTERS) : nameOf(TRACE)}</option>` : null}
          ${groupKinds(known, boot.rules.groups).map(({ title, kinds }) => html`<optgroup label=${title}>${kinds.map((kind) => html`<option value=${kind} selected=${kind === choice.kind}>${nameOf(kind)}</option>`)}</optgroup>`)}
        </select>
        <span class="year">${connections[choice.kind]?.year ?? ''}</span>
        <${RunMenu} run=${run} isOnly=${isOnly} />
      </div>
      ${choice.kind === TRACE ? html`<div class="traced">${isCut ? html`<p class="model" id=${`model-${letter}`}>${model}</p>` : null}<p class="hint">${TRACED}</p><${RecordedCuts} run=${run} /><${Twin} run=${run} trace=${choice.trace} isComplete=${hasServer && isComplete(run)} /></div>` : null}
      <${RunName} choice=${choice} run=${run} />
      <${OwnSettings} choice=${choice} run=${run} />
    </div>
  `;
}

/** Render the line style of a run: a component of its own, because all styles are new at each move of a slider. @param {{run: number}} props */
function RunSwatch({ run }) {
  return html`<${Swatch} style=${chosenStyles.value[run]} />`;
}

/** Render the button of the atlas that a recording brought, or how to record one. @param {{run: number}} props */
function RecordedCuts({ run }) {
  if (!isComputing || !isComplete(run)) return null;
  if (recordedAtlases.value.includes(run)) return html`<p><${AtlasButton} /></p>`;
  return html`<p class="hint">It has no atlas of every cut. To record one, call <code>probe.atlas(batch)</code> before the recording is saved.</p>`;
}

/** Return whether the record of a slot is complete. @param {number} run */
function isComplete(run) {
  state.dataTick.value;
  return state.slots.value[run]?.columns.end?.status === 'done';
}

/** Render the menu of a compared run. @param {{run: number, isOnly: boolean}} props */
function RunMenu({ run, isOnly }) {
  const runs = useComputed(() => state.settings.value.runs).value;
  const canVerify = useComputed(() => isVerifiable(state.slots.value[run])).value;
  const items = useMemo(() => itemsOf(run, isOnly, canVerify), [run, isOnly, canVerify, runs]);
  return html`<${Menu} label=${`Run ${boot.rules.letters[run]}: more`} items=${items} />`;
}

/** List the menu items of a compared run. @param {number} run @param {boolean} isOnly @param {boolean} canVerify */
function itemsOf(run, isOnly, canVerify) {
  const rename = () => {
    renamed.value = run;
  };
  const remove = () => {
    commit(() => state.removeRun(run));
    // The focused button may be removed with its run.
    setTimeout(
      () =>
        document.activeElement === document.body &&
        /** @type {HTMLElement | null} */ (document.querySelector('.add'))?.focus(),
    );
  };
  const isTrace = state.settings.value.runs[run].kind === TRACE;
  return [
    { title: 'Rename', run: rename },
    ...(!isTrace && state.settings.value.runs.length < boot.rules.letters.length
      ? [{ title: 'Duplicate', note: 'to change one setting of it', run: () => commit(() => state.duplicateRun(run)) }]
      : []),
    ...(isOnly ? [] : [{ title: 'Remove', run: remove }]),
    // Last, because it appears when the run is done and must not move the other items under the pointer.
    ...(canVerify
      ? [
          {
            title: 'Verify',
            note: isTrace ? 'its numbers against each other' : 'against theory and float64',
            run: () => openVerification(state.slots.value[run]),
          },
        ]
      : []),
    ...(canVerify && hasClasses(run)
      ? [
          {
            title: 'Lens',
            note: 'what each layer and stream says',
            run: () => (observed.value = state.slots.value[run]),
          },
        ]
      : []),
  ];
}

/** Return whether the read-out of a finished run gives probabilities: vectors have no classes. @param {number} run */
function hasClasses(run) {
  const spec = specOf(state.slots.value[run].columns);
  return spec !== null && !['gaussian', 'correlated'].includes(spec.input?.kind ?? 'text');
}

/** The run whose name is edited. */
const renamed = signal(/** @type {number | null} */ (null));

/** Render the name of a run, or the input while it is renamed. @param {{choice: import('../../types').Choice, run: number}} props */
function RunName({ choice, run }) {
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  const isOpen = renamed.value === run;
  useLayoutEffect(() => {
    if (!isOpen) return;
    input.current?.focus();
    input.current?.select();
  }, [isOpen]);
  if (!isOpen) return choice.name ? html`<p class="run-name">“${choice.name}”</p>` : null;
  const close = () => {
    renamed.value = null;
    /** @type {HTMLElement | null} */ (
      document.querySelector(`[aria-label="Run ${boot.rules.letters[run]}: more"]`)
    )?.focus();
  };
  const onKeyDown = (/** @type {any} */ event) => {
    if (event.key !== 'Enter' && event.key !== 'Escape') return;
    event.preventDefault(); // otherwise Enter opens the focused menu, and Escape closes the drawer
    if (event.key === 'Enter') commit(() => state.renameRun(run, event.target.value.trim()));
    close();
  };
  return html`<input type="text" class="run-name" ref=${input} maxlength=${boot.rules.name_length} defaultValue=${choice.name ?? ''} placeholder="Name, then Enter"
    aria-label=${`Name of run ${boot.rules.letters[run]}`} onKeyDown=${onKeyDown} onBlur=${() => (renamed.value = null)} />`;
}

/** Render the settings in which the runs differ. */
function Differences() {
  const text = useComputed(() => JSON.stringify(listDifferences())).value; // most moves of a slider leave it as it is
  /** @type {string[][]} */
  const rows = JSON.parse(text);
  if (rows.length < 2) return null; // a single difference is usually the connection
  const letters = [...boot.rules.letters].slice(0, rows[0].length - 1);
  return html`
    <details class="differences"><summary>${rows.length} differences</summary>
      <${TableBox} label="Settings in which the runs differ"><${NumbersTable} head=${['setting', ...letters]} rows=${rows} /><//>
    </details>
  `;
}

/** List the settings in which the runs differ: the title of each, then its text for each run; none for a single run. @returns {string[][]} */
function listDifferences() {
  const view = state.settings.value;
  if (view.runs.length < 2) return [];
  return toDifferences(state.fields.value, view).map(({ field, values }) => [
    field.title,
    ...values.map((value) => (value === null ? '–' : String(textOf(field, value)).slice(0, boot.rules.name_length))),
  ]);
}

/** Describe a setting that a run has for itself. @param {import('../../types').Field} field @param {import('../../types').Value} value */
const describeOwn = (field, value) =>
  [field.control === EDITS ? '' : titleInSentence(field), textOf(field, value)].join(' ').trim();

/** Render the settings that a run has for itself instead of the common ones. @param {{choice: import('../../types').Choice, run: number}} props */
function OwnSettings({ choice, run }) {
  const isIncluded = (/** @type {import('../../types').Field} */ field) => {
    const now = state.settings.value.runs[run] ?? choice; // computed values do not depend on props
    const isOwn = field.group === 'connection' || field.path === EDITS || field.path in now.own;
    return (
      isOwn &&
      field.path !== KIND &&
      !hasSingleValue(field) &&
      appliesTo(state.fields.value, state.settings.value, now, field)
    );
  };
  const fields = useFields(isIncluded);
  if (fields.length === 0) return null;
  const own = fields.filter((field) => field.path in choice.own);
  const overrides = own.map((field) => describeOwn(field, choice.own[field.path])).join(', ');
  return html`
    <details class="own"><summary>${overrides || 'Overrides'}</summary>
      ${fields.map((field) => html`<${Control} key=${field.path} field=${field} target=${targetOf(run)} />`)}
    </details>
  `;
}
