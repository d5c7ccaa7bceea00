/** Animates a slider: each step waits for the runs of the previous step. One slider plays at a time. */

import { signal } from '@preact/signals';
import { wait } from '../net/api.js';
import { commit, dragTo } from '../state/actions.js';
import { until } from '../state/idle.js';
import * as state from '../state/signals.js';
import { playStops } from '../state/sweep.js';
import { html } from '../ui/html.js';

/** @typedef {import('../../types').Field} Field */

/** Shortest time per step; longer if the user prefers reduced motion. */
const DWELL_MS = { moving: 300, still: 1000 };
/** Keys that do not stop the animation: modifiers and Tab. */
const IDLE_KEYS = ['Shift', 'Control', 'Alt', 'Meta', 'Tab'];

/** The animated setting. @type {import('@preact/signals').Signal<{id: string, field: Field} | null>} */
const playing = signal(null);
let following = new AbortController();

/** Render the button that plays a setting: its slider moves from stop to stop. @param {{id: string, field: Field, value: number, set: (value: number) => void}} props `id` of the control */
export function PlayButton({ id, field, value, set }) {
  const isOn = playing.value?.id === id;
  const act = () => (isOn ? stopPlaying() : void playField(id, field, value, set));
  return html`<button type="button" class="icon play" aria-label=${`${isOn ? 'Pause' : 'Play'} ${field.title}`} title=${isOn ? 'Pause' : 'Play from here to the end'}
    data-play onClick=${act}>${isOn ? '❚❚' : '▶'}</button>`;
}

/** Return the id of a common setting's control. @param {string} path */
const toControl = (path) => `setting-${path.replaceAll('.', '-')}`;

/** Play a common setting from its start, after the current runs are shown. @param {string} path */
export async function playSetting(path) {
  const field = state.fields.value.get(path);
  if (!field) return;
  await playField(toControl(path), field, NaN, (value) => state.setBase(path, value));
}

/** Render a button that plays and pauses a common setting without a visible control. @param {{path: string, canPlay: boolean}} props `canPlay`: whether to show it while nothing plays */
export function PlaySetting({ path, canPlay }) {
  const title = state.fields.value.get(path)?.title;
  const isOn = playing.value?.id === toControl(path);
  if (isOn) return html`<button type="button" data-play onClick=${stopPlaying}>❚❚ Pause ${title}</button>`;
  return canPlay
    ? html`<button type="button" data-play onClick=${() => void playSetting(path)}>▶ Play ${title}</button>`
    : null;
}

/** Move a setting from stop to stop, and show the runs of each. @param {string} id @param {Field} field @param {number} from NaN: from the start @param {(value: number) => void} set */
async function playField(id, field, from, set) {
  following.abort();
  following = new AbortController();
  const { signal: aborted } = following;
  playing.value = { id, field };
  const all = playStops(field);
  const left = all.filter((stop) => stop > from);
  let isShown = await untilShown(aborted);
  for (const stop of left.length > 0 ? left : all) {
    if (!isShown) break;
    dragTo(() => set(stop));
    const isStill = matchMedia('(prefers-reduced-motion: reduce)').matches;
    const step = wait(isStill ? DWELL_MS.still : DWELL_MS.moving);
    isShown = await untilShown(aborted);
    if (isShown) await step;
    if (aborted.aborted) return;
  }
  if (!aborted.aborted) stopPlaying();
}

/** Stop playing at the shown step, and commit that step as a history entry. */
function stopPlaying() {
  following.abort();
  if (!playing.value) return;
  const { field } = playing.value;
  playing.value = null;
  commit();
  state.announcement.value = `${field.title} stopped at ${state.baseValue(field)}`;
}

/** Wait until the runs of this step are shown; return whether they are, and not refused or aborted. @param {AbortSignal} aborted */
async function untilShown(aborted) {
  await until(() => ['idle', 'refused', 'unconfirmed'].includes(state.phase.value), aborted);
  return state.phase.value === 'idle' && !aborted.aborted;
}

/** Stop playing on input, and on going back in the history, until the page is closed. Play buttons handle input themselves, except for Escape; `IDLE_KEYS` stop nothing. */
export function stopPlayingOnInput() {
  const onInput = (/** @type {Event} */ event) => {
    if (!playing.value) return;
    if (event instanceof KeyboardEvent && IDLE_KEYS.includes(event.key)) return;
    const button = /** @type {Element} */ (event.target).closest?.('[data-play]');
    const isEscape = event instanceof KeyboardEvent && event.key === 'Escape';
    if (button && !isEscape) return;
    stopPlaying();
    if (isEscape) event.preventDefault(); // otherwise Escape would close the drawer of settings
  };
  for (const type of ['pointerdown', 'keydown', 'input']) addEventListener(type, onInput, { capture: true });
  addEventListener('popstate', () => {
    following.abort();
    playing.value = null;
  });
}
