/** Captions of exported figures: meaning, runs, settings and link. */

import { specOf } from '../data/record.js';
import { ROOT } from '../net/sent.js';
import { urlOf } from '../state/address.js';
import { boot } from '../state/boot.js';
import { toHash } from '../state/hash.js';
import * as state from '../state/signals.js';
import { hasUnnamed } from '../state/viewtraces.js';
import { toNotes, toSettings } from './report.js';

/** @typedef {{title: string, text: string, url: string}} Caption */

/** Build the caption of an exported figure: title, runs, settings and link. @param {string} title @param {string} meaning @returns {Caption} */
export function toCaption(title, meaning) {
  const columns = state.slots.value.map((slot) => slot.columns);
  const labels = state.slots.value.map((slot) => slot.label);
  return withLink(title, [
    meaning,
    `${listRuns()}.`,
    settingsText(columns.map(specOf), labels),
    ...toNotes(columns, labels, state.isDifference.value).slice(0, -1), // the last one is about tables
  ]);
}

/** List the shown runs with their ids. */
export function listRuns() {
  return state.slots.value.map(({ label, id }) => `${label} (run ${id || 'not confirmed yet'})`).join(', ');
}

/** Return the caption of an exported figure: title, sentences and the link to the view. @param {string} title @param {string[]} sentences @returns {Caption} */
export function withLink(title, sentences) {
  return { title, text: [`${title}.`, ...sentences].filter(Boolean).join(' '), url: toUrl() };
}

/** Return the address of the view: the snapshot's if there is one, because its numbers never change; never the bare address, which may open another view later. Empty if a run of the view has no address. */
function toUrl() {
  const snapshotUrl = state.snapshot.value?.url;
  if (!snapshotUrl && hasUnnamed(state.view.value)) return '';
  const url = snapshotUrl ?? urlOf(state.view.value);
  return new URL(url === `${ROOT}/` ? `${url}#${toHash(state.view.value, boot.rules)}` : url, location.href).href;
}

/** Describe the settings of the shown runs for a caption. @param {any[]} specs null for a recording @param {string[]} labels */
function settingsText(specs, labels) {
  if (specs.some((spec) => spec === null)) return '';
  const { shared, own } = toSettings(state.fields.value, specs);
  const sharedText = shared.map(({ title, value }) => `${title}: ${value}`).join('; ');
  const letters = labels.map((label) => label.split(' ')[0]);
  const differing = own.map(
    ({ title, values }) => `${title}: ${values.map((value, run) => `${letters[run]} ${value}`).join(', ')}`,
  );
  return `${[...differing, sharedText].filter(Boolean).join('; ')}.`;
}
