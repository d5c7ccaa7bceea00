/** A note if dynamic mixing has no effect: the reason, and buttons that give it one. */

import { commit } from '../state/actions.js';
import { boot } from '../state/boot.js';
import * as state from '../state/signals.js';
import { appliesTo, nameOf, settingOf } from '../state/spec.js';
import { html } from '../ui/html.js';

export const DYNAMIC = 'connection.dynamic';
const INIT = 'connection.init';
const STEPS = 'train.steps';
/** Training steps that move the projections away from zero, few enough to be fast. */
const FEW_STEPS = 20;
/** Initialisation with random projections and a gate of 1: the one that differs most from static mixing. */
const DRAWN = 'deepseek_v4';

/** Render the note that the dynamic mixing of a run has no effect yet, with buttons that change this. @param {{run: number | null}} props null for the common setting */
export function DynamicNote({ run }) {
  const inert = listInert().filter((index) => run === null || index === run);
  if (inert.length === 0) return null;
  const { kinds } = boot.rules.dynamic;
  const drawable = inert.filter((index) => kinds.includes(state.settings.value.runs[index].kind));
  const letters = inert.map((index) => boot.rules.letters[index]).join(' and ');
  return html`
    <div class="note" role="status">
      <p>This does not change ${letters} yet: the projections that read the tokens start at zero. Train them${drawable.length > 0 ? ', or start with random ones' : ''}.</p>
      <button type="button" onClick=${() => setWhereDefined(inert, STEPS, FEW_STEPS)}>Train ${FEW_STEPS} steps</button>
      ${drawable.length > 0 ? html` <button type="button" onClick=${() => setWhereDefined(drawable, INIT, DRAWN)}>Start as ${nameOf(DRAWN)}</button>` : null}
    </div>
  `;
}

/** List the runs whose dynamic mixing equals the static one: untrained, and initialised without projections. */
function listInert() {
  const { runs } = state.settings.value;
  const { inits, kinds } = boot.rules.dynamic;
  return runs.flatMap((choice, index) => {
    const isDrawn = kinds.includes(choice.kind) && inits.includes(String(settingIfApplies(choice, INIT)));
    return settingIfApplies(choice, DYNAMIC) === true && !isDrawn && !settingIfApplies(choice, STEPS) ? [index] : [];
  });
}

/** Return the value of a setting for a run; null if the setting does not apply to the run. @param {import('../../types').Choice} choice @param {string} path */
function settingIfApplies(choice, path) {
  const field = state.fields.value.get(path);
  const { value: view } = state.view;
  return field && appliesTo(state.fields.value, view, choice, field) ? settingOf(view, choice, field) : null;
}

/** Set a setting for runs: the run's own value if it has one, else the common value. @param {number[]} runs @param {string} path @param {import('../../types').Value} value */
function setWhereDefined(runs, path, value) {
  const { runs: choices } = state.settings.value;
  commit(() => {
    for (const run of runs) {
      if (path in choices[run].own) state.setOwn(run, path, value);
      else state.setBase(path, value);
    }
  });
}
