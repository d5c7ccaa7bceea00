/** The current theme and its templates. */

import { computed, effect, signal } from '@preact/signals';
import { carryRules } from '../data/rules.js';
import { getPanels, retryWhileBusy } from '../net/api.js';
import * as state from './signals.js';
import { recallChoice, storeChoice } from './store.js';

/** @typedef {'auto' | 'light' | 'dark'} ThemeChoice */

const KEY = 'theme';
const system = matchMedia('(prefers-color-scheme: dark)');
const isSystemDark = signal(system.matches);
system.addEventListener('change', () => {
  isSystemDark.value = system.matches;
});

/** Read the stored choice of a theme; `auto` if there is none. @returns {ThemeChoice} */
function readThemeChoice() {
  const chosen = recallChoice(KEY);
  return chosen === 'light' || chosen === 'dark' ? chosen : 'auto';
}

export const choice = signal(readThemeChoice());
export const theme = computed(() => (choice.value === 'auto' ? (isSystemDark.value ? 'dark' : 'light') : choice.value));

/** Choose a theme, and store the choice. @param {ThemeChoice} next */
export function setTheme(next) {
  choice.value = next;
  storeChoice(KEY, next === 'auto' ? null : next);
  if (next === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
}

/** Requested templates by number of runs and theme. @type {Map<string, Promise<import('../../types').Templates>>} */
const templatesLoading = new Map();

/** Load the figure templates for a number of runs in a theme; each is requested once, and again only if that failed. @param {number} runCount @param {string} themeName */
export function loadTemplates(runCount, themeName) {
  const key = `${runCount} ${themeName}`;
  const known = templatesLoading.get(key) ?? getPanels(runCount, themeName).then(carryRules);
  templatesLoading.set(key, known);
  known.catch(() => templatesLoading.delete(key));
  return known;
}

/**
 * Load templates one after another before they are needed. What cannot be loaded is loaded again, and its error shown, once it is needed.
 * @param {Iterable<number>} counts numbers of runs
 */
export async function preloadTemplates(counts) {
  for (const count of counts) await loadTemplates(count, theme.peek()).catch(() => null);
}

/** Light templates for printing; loaded after those of a dark screen. */
export const paper = signal(/** @type {import('../../types').Templates | null} */ (null));

/** Load the templates of figures again whenever the theme or the number of runs changes. @param {(error: unknown) => void} onError */
export function followLook(onError) {
  effect(() => void loadAndSet(state.drawnRuns.value, theme.value, onError));
}

/** Load and set templates, unless theme or count change meanwhile. @param {number} count @param {string} name @param {(error: unknown) => void} onError */
async function loadAndSet(count, name, onError) {
  const isWanted = () => count === state.drawnRuns.peek() && name === theme.peek();
  try {
    const loaded = await retryWhileBusy(() => loadTemplates(count, name), isWanted);
    if (isWanted()) state.templates.value = loaded;
    if (isWanted() && name === 'dark')
      paper.value = await retryWhileBusy(() => loadTemplates(count, 'light'), isWanted);
  } catch (error) {
    if (isWanted()) onError(error);
  }
}
