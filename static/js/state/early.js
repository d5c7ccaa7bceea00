/**
 * Requests runs before the view has them: those of a preset's page before the page can read its view, for which it needs the schema of specs,
 * and those after a cut while the mouse button that makes it is down.
 */

import { cancelRun, compareRuns } from '../net/api.js';
import { hasServer } from '../net/sent.js';
import { boot } from './boot.js';
import { showsPreset } from './presets.js';
import { keptIds } from './records.js';

/** Longest predicted duration of runs that start without pressing Run. */
export const AUTO_START_S = 6;

/** @typedef {ReturnType<typeof compareRuns>} Response */
/** @type {Response | null} */
let begun = null;
/** The request that was sent when a button was pressed, and its specs as JSON. @type {{key: string, response: Response} | null} */
let pressed = null;

/** Request the runs of the preset that was sent with the page, unless the address has settings of its own. */
export function requestPresetRuns() {
  if (!boot.preset || !hasServer || location.hash !== '') return;
  begun = compareRuns(
    boot.preset.specs.map(({ spec }) => spec),
    null,
    [],
    boot.rules.panels_over_steps.includes(boot.preset.panel) ? 'all' : 'result', // its figure is on the first screen
  );
  begun.catch(() => null); // the error is shown where the response is used
}

/** Return the response to the request that was sent before the page was ready, if it is for this view; else close it and return null, as later calls do. @param {import('../../types').View} view */
export function takePresetRuns(view) {
  const response = begun;
  begun = null;
  if (!response || (boot.preset && showsPreset(view, boot.preset))) return response;
  response.then(
    ({ stream }) => stream.close(),
    () => null,
  );
  return null;
}

/** Request runs that the view has if the button is released where it was pressed. The previous such request is cancelled. @param {any[]} specs */
export function requestPressed(specs) {
  dropPressed();
  pressed = { key: JSON.stringify(specs), response: compareRuns(specs, AUTO_START_S, keptIds()) };
  pressed.response.catch(() => null); // the error is shown where the response is used
}

/** Return the response to the request that was sent when the button was pressed if it was for these specs; else cancel it and return null. It is used once. @param {any[]} specs */
export function takePressed(specs) {
  if (pressed?.key !== JSON.stringify(specs)) return dropPressed();
  const { response } = pressed;
  pressed = null;
  return response;
}

/** Cancel the runs that were requested when the button was pressed. @returns {null} */
export function dropPressed() {
  pressed?.response.then(
    ({ submitted, stream }) => {
      stream.close();
      // Errors do not matter: a run has ended, or others watch it.
      void Promise.allSettled(submitted.filter(isOpen).map(({ id }) => cancelRun(id)));
    },
    () => null,
  );
  pressed = null;
  return null;
}

/** Return whether a submitted run is waiting or being computed. @param {import('../../types').Submitted} run */
const isOpen = ({ status }) => status === 'queued' || status === 'running';
