/** On each card that shows what training is to change: how far it has come. */

import { formatSeconds } from '../data/numbers.js';
import { isGrowing, trainSteps } from '../data/record.js';
import { secondsLeft } from '../state/pace.js';
import * as state from '../state/signals.js';
import { html } from '../ui/html.js';

/** @typedef {import('../../types').Columns} Columns */

/** Steps that a run has still to go. @param {Columns} columns */
const stepsLeft = (columns) => trainSteps(columns) - columns.trained;

/** Of a run that trains: its step, and how long it goes on; of a model that is watched, what is heard of it. @param {Columns} columns */
export function sayTraining(columns) {
  if (isGrowing(columns)) return sayWatched(columns);
  const left = stepsLeft(columns);
  const left_s = left > 0 ? secondsLeft(columns, left) : null; // after the last the trained stack is measured
  const time = left_s === null ? '' : `, ${formatSeconds(left_s)} left`;
  return `step ${columns.trained} of ${trainSteps(columns)}${time}`;
}

/** @param {Columns} columns */
function sayWatched({ trained, iterations }) {
  const number = iterations[trained - 1];
  if (trained === 0) return 'training, before the first step';
  return number === undefined ? `training, observation ${trained}` : `training, step ${number}`;
}

/** Of the run that is furthest behind, which the card waits for. */
export function TrainingProgress() {
  state.dataTick.value;
  const open = state.slots.value.map(({ columns }) => columns).filter(isTraining);
  if (open.length === 0) return null;
  if (open.every(isGrowing))
    return html`<p class="card-progress" aria-hidden="true">${open.map(sayWatched).join('; ')}</p>`;
  const [last] = open.sort((one, other) => stepsLeft(other) - stepsLeft(one));
  return html`
    <p class="card-progress" aria-hidden="true"><progress max=${trainSteps(last)} value=${last.trained}></progress> training: ${sayTraining(last)}</p>
  `;
}

/** @param {Columns} columns */
function isTraining(columns) {
  return columns.start !== null && columns.end === null && trainSteps(columns) > 0;
}
