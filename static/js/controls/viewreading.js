/** Reads the view of an address, and builds titles of views. */

import { openingView } from '../state/address.js';
import { boot } from '../state/boot.js';
import { EDITS } from '../state/editlist.js';
import { fromHash, presetIn } from '../state/hash.js';
import { findPreset, nameIn, showsPreset, toView } from '../state/presets.js';
import { fields } from '../state/signals.js';
import { textOf, toLabels } from '../state/spec.js';

/** @typedef {import('../../types').View} View */

const MAX_SETTINGS = 3; // settings in a title
const MAX_LETTERS = 40; // of a setting

/** Return the view of an address, `/#…` or `/p/…`. @param {string} url @returns {View} */
export function viewAt(url) {
  const { pathname, hash } = new URL(url, location.href);
  const preset = findPreset(nameIn(pathname) ?? presetIn(hash, boot.rules));
  if (!preset && hash === '') return openingView();
  return fromHash(hash, fields.value, boot.rules, preset && toView(preset)).view;
}

/** Build the title of a view: the title of its preset, else the runs and settings that differ from the default. @param {View} view @param {string[]} [labels] */
export function titleOfView(view, labels = toLabels(view, fields.value, boot.rules)) {
  const preset = findPreset(view.preset);
  if (preset && showsPreset(view, preset)) return preset.title;
  return [labels.join(', '), ...settingsOf(view)].join(' · ');
}

/** Name a setting with its value. @param {import('../../types').Field} field @param {import('../../types').Value} value */
const nameSetting = (field, value) =>
  [field.control === EDITS ? '' : field.title, textOf(field, value)].join(' ').trim();

/** List the settings that the title of a view names. @param {View} view */
function settingsOf({ base }) {
  const set = [...fields.value.values()].filter(({ path }) => path in base);
  const settings = set.map((field) => nameSetting(field, base[field.path]).slice(0, MAX_LETTERS));
  const left = settings.length - MAX_SETTINGS;
  return left > 0 ? [...settings.slice(0, MAX_SETTINGS), `${left} more`] : settings;
}
