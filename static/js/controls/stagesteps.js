/** Navigation in presentation mode: along the steps of the story or the presets, and between cards. */

import { current, goToStep } from '../cards/story.js';
import { STEPS } from '../cards/storysteps.js';
import { KEY as PICTURE } from '../picture/shown.js';
import { TITLE } from '../picture/words.js';
import { present, presented } from '../plots/presented.js';
import { openPreset } from '../state/actions.js';
import { origin, presets } from '../state/presets.js';
import * as state from '../state/signals.js';

/** List the cards that can be presented, in page order. */
export const listCards = () => [{ key: PICTURE, title: TITLE }, ...state.shownPanels.value];

/** Present the card with the focus, or the one in the middle of the window. */
export function presentCard() {
  const cards = /** @type {HTMLElement[]} */ ([...document.querySelectorAll('main [data-panel]')]);
  const keys = listCards().map(({ key }) => key);
  const shown = cards.filter((card) => keys.includes(card.dataset.panel ?? ''));
  const distanceFromMiddle = (/** @type {HTMLElement} */ card) => {
    const { top, bottom } = card.getBoundingClientRect();
    return Math.max(top - innerHeight / 2, innerHeight / 2 - bottom);
  };
  const nearest = shown.sort((one, other) => distanceFromMiddle(one) - distanceFromMiddle(other))[0];
  const focused = shown.find((card) => card.contains(document.activeElement));
  const key = (focused ?? nearest)?.dataset.panel;
  if (key) present(key);
}

/** List the presets in the order of the gallery. */
function listPresets() {
  const groups = [...new Set(presets.value.map(({ group }) => group.key))];
  return groups.flatMap((key) => presets.value.filter(({ group }) => group.key === key));
}

/** Find the index of an item. @param {{key: string}[]} items @param {string | undefined} key */
const indexOfKey = (items, key) => items.findIndex((item) => item.key === key);

/** Present the next or previous card. @param {number} by */
export function moveCard(by) {
  const cards = listCards();
  const next = cards[indexOfKey(cards, presented.value?.key) + by];
  if (presented.value && next) presented.value = { ...presented.value, key: next.key };
}

/** Show the next or previous step of the story, or preset. @param {number} by */
export function moveStep(by) {
  if (presented.value?.isStory) {
    const next = (current.value ?? (by > 0 ? -1 : 0)) + by;
    if (STEPS[next]) goToStep(next);
    return;
  }
  const all = listPresets();
  const at = all.findIndex(({ name }) => name === origin.value?.name);
  const next = all[at < 0 && by < 0 ? -1 : at + by];
  if (!next) return;
  openPreset(next);
  presented.value = { key: next.panel, isStory: false }; // its text is about this card
}

/** Describe which step and card are presented. @returns {{step: string, card: string}} */
export function describePlace() {
  const cards = listCards();
  const at = indexOfKey(cards, presented.value?.key);
  return { step: describeStoryStep(), card: `card ${at + 1} of ${cards.length}` };
}

/** Describe the number of the shown story step or preset. */
function describeStoryStep() {
  if (presented.value?.isStory) {
    const step = current.value;
    return step === null ? 'story' : `step ${step + 1} of ${STEPS.length}: ${STEPS[step].title}`;
  }
  const all = listPresets();
  const at = all.findIndex(({ name }) => name === origin.value?.name);
  return at < 0 ? `${all.length} presets` : `preset ${at + 1} of ${all.length}: ${all[at].title}`;
}
