/** Where dynamic mixing changes nothing, why, and what would make it do something. */

import { commit } from '../state/actions.js';
import { boot } from '../state/boot.js';
import * as state from '../state/signals.js';
import { appliesTo, nameOf, settingOf } from '../state/view/spec.js';
import { html } from '../ui/html.js';

export const DYNAMIC = 'connection.dynamic';
const INIT = 'connection.init';
const STEPS = 'train.steps';
/** Enough for the projections to leave zero, and few enough not to be waited for. */
const FEW_STEPS = 20;
/** Draws projections, with a gate of 1: the start that differs most from static mixing. */
const DRAWN = 'deepseek_v4';

/** @param {{run: number | null}} props null for the common setting */
export function DynamicNote({ run }) {
  const inert = listInert().filter((index) => run === null || index === run);
  if (inert.length === 0) return null;
  const { kinds } = boot.rules.dynamic;
  const drawable = inert.filter((index) => kinds.includes(state.settings.value.runs[index].kind));
  const letters = inert.map((index) => boot.rules.letters[index]).join(' and ');
  return html`
    <div class="note" role="status">
      <p>This does not change ${letters} yet: the projections that read the tokens start at zero. Train them${drawable.length > 0 ? ', or start with random ones' : ''}.</p>
      <button type="button" onClick=${() => put(inert, STEPS, FEW_STEPS)}>Train ${FEW_STEPS} steps</button>
      ${drawable.length > 0 ? html` <button type="button" onClick=${() => put(drawable, INIT, DRAWN)}>Start as ${nameOf(DRAWN)}</button>` : null}
    </div>
  `;
}

/** Runs whose dynamic mixing is the static one: not trained, and begun without projections. */
function listInert() {
  const { runs } = state.settings.value;
  const { inits, kinds } = boot.rules.dynamic;
  return runs.flatMap((choice, index) => {
    const isDrawn = kinds.includes(choice.kind) && inits.includes(String(settled(choice, INIT)));
    return settled(choice, DYNAMIC) === true && !isDrawn && !settled(choice, STEPS) ? [index] : [];
  });
}

/** A run's value of a setting; null where it means nothing for the run. @param {import('../../types').Choice} choice @param {string} path */
function settled(choice, path) {
  const field = state.fields.value.get(path);
  const { value: view } = state.view;
  return field && appliesTo(state.fields.value, view, choice, field) ? settingOf(view, choice, field) : null;
}

/** Set it where each run takes it from. @param {number[]} runs @param {string} path @param {import('../../types').Value} value */
function put(runs, path, value) {
  const { runs: choices } = state.settings.value;
  commit(() => {
    for (const run of runs) {
      if (path in choices[run].own) state.setOwn(run, path, value);
      else state.setBase(path, value);
    }
  });
}
