/** Requests the runs of a preset's page before the page can read its view, for which it needs the schema of specs. */

import { compareRuns } from '../net/api.js';
import { hasServer } from '../net/sent.js';
import { boot } from './boot.js';
import { showsPreset } from './presets.js';

/** @type {ReturnType<typeof compareRuns> | null} */
let begun = null;

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

/** Return the response to the request for runs that begins before the page is ready, if it is for this view, else null. It is used once. @param {import('../../types').View} view */
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
