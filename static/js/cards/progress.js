/** Progress of runs, and of training on the cards that it will change. */

import { formatSeconds } from '../data/numbers.js';
import { depthOf, isGrowing, seedsOf, trainSteps } from '../data/record.js';
import { secondsLeft } from '../state/pace.js';
import * as state from '../state/signals.js';
import { html } from '../ui/html.js';

/** @typedef {import('../../types').Columns} Columns */

/** Count the remaining steps of a run. @param {Columns} columns */
const stepsLeft = (columns) => trainSteps(columns) - columns.trained;

/** Describe the progress of training: step and remaining time, or the latest step of a recorded model. @param {Columns} columns */
export function trainingProgress(columns) {
  if (isGrowing(columns)) return watchedProgress(columns);
  const left = stepsLeft(columns);
  const left_s = left > 0 ? secondsLeft(columns, left) : null; // after the last step, the trained stack is measured
  const time = left_s === null ? '' : `, ${formatSeconds(left_s)} left`;
  return `step ${columns.trained} of ${trainSteps(columns)}${time}`;
}

/** Describe the latest training step of a model that is monitored elsewhere. @param {Columns} columns */
function watchedProgress({ trained, iterations }) {
  const number = iterations[trained - 1];
  if (trained === 0) return 'training, before the first step';
  return number === undefined ? `training, observation ${trained}` : `training, step ${number}`;
}

/** Render the progress of the slowest run. */
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

/** Return whether a run is training. @param {Columns} columns */
function isTraining(columns) {
  return columns.start !== null && columns.end === null && trainSteps(columns) > 0;
}

/**
 * Compute the share of a run that has arrived, 0 to 1. Training counts steps, because measuring is short in comparison. Other runs count
 * frames: forward, similarity and backward send one each per layer.
 * @param {import('../../types').Columns} columns
 */
export function fractionDone(columns) {
  if (columns.end) return 1;
  if (!columns.start) return 0;
  if (trainSteps(columns) > 0) return columns.trained / trainSteps(columns);
  const first = Math.min(1, columns.last / (3 * depthOf(columns) + 5));
  const seeds = seedsOf(columns);
  return (first + (columns.progress ?? 0) * (seeds - 1)) / seeds;
}
