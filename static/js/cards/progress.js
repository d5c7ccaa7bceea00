/** On each card that shows what training is to change: how far it has come. */

import { formatSeconds } from '../data/numbers.js';
import { depthOf, isGrowing, seedsOf, trainSteps } from '../data/record.js';
import { secondsLeft } from '../state/pace.js';
import * as state from '../state/signals.js';
import { html } from '../ui/html.js';

/** @typedef {import('../../types').Columns} Columns */

/** Steps that a run has still to go. @param {Columns} columns */
const stepsLeft = (columns) => trainSteps(columns) - columns.trained;

/** Of a run that trains: its step, and how long it goes on; of a model that is watched, what is heard of it. @param {Columns} columns */
export function trainingProgress(columns) {
  if (isGrowing(columns)) return watchedProgress(columns);
  const left = stepsLeft(columns);
  const left_s = left > 0 ? secondsLeft(columns, left) : null; // after the last the trained stack is measured
  const time = left_s === null ? '' : `, ${formatSeconds(left_s)} left`;
  return `step ${columns.trained} of ${trainSteps(columns)}${time}`;
}

/** @param {Columns} columns */
function watchedProgress({ trained, iterations }) {
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
    return html`<p class="card-progress" aria-hidden="true">${open.map(watchedProgress).join('; ')}</p>`;
  const [last] = open.sort((one, other) => stepsLeft(other) - stepsLeft(one));
  return html`
    <p class="card-progress" aria-hidden="true"><progress max=${trainSteps(last)} value=${last.trained}></progress> training: ${trainingProgress(last)}</p>
  `;
}

/** @param {Columns} columns */
function isTraining(columns) {
  return columns.start !== null && columns.end === null && trainSteps(columns) > 0;
}

/**
 * The share of a run that has arrived, 0 to 1. A run that trains counts its steps, because measuring is short next to them. Any other
 * counts its frames: forward, similarity and backward send one each per layer.
 * @param {import('../../types').Columns} columns
 */
export function shareDone(columns) {
  if (columns.end) return 1;
  if (!columns.start) return 0;
  if (trainSteps(columns) > 0) return columns.trained / trainSteps(columns);
  const first = Math.min(1, columns.last / (3 * depthOf(columns) + 5));
  const seeds = seedsOf(columns);
  return (first + (columns.progress ?? 0) * (seeds - 1)) / seeds;
}
