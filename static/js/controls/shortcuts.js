/** Keyboard shortcuts. They are off while someone types, while a dialog is open, and when turned off. */

import { signal } from '@preact/signals';
import { hasServer } from '../net/sent.js';
import { matrixOpened, openMatrix } from '../picture/shown.js';
import { showAll } from '../plots/boxes.js';
import { openShareDialog } from '../share/share.js';
import { commit, dragTo, moveCursor, moveInterval, moveStep, showDifference } from '../state/actions.js';
import { isComputing, toggleStream, undoEdit } from '../state/edits.js';
import { setTheme, theme } from '../state/look.js';
import { requestRuns } from '../state/runner.js';
import * as state from '../state/signals.js';
import { nearestStop, stopsOf } from '../state/spec.js';
import { recallChoice, storeChoice } from '../state/store.js';
import { opened, settingsOpened } from '../ui/opened.js';
import { presentCard } from './stagesteps.js';

const KEY = 'single-keys';
const TYPED = 'textarea, select, input:not([type=range], [type=checkbox], [type=radio])';
/** Elements that use the arrow keys themselves. */
const ARROWED = 'input, .table-box, pre';

const STREAMS = ['1', '2', '3', '4', '5', '6', '7', '8', '9'];

export const areShortcutsOn = signal(recallChoice(KEY) !== 'off');

/** @typedef {{signs: string[], title: string, keys: Record<string, () => void>}} Shortcut */

/** @type {Shortcut[]} */
export const SHORTCUTS = [
  {
    signs: ['←', '→'],
    title: 'previous or next layer',
    keys: { ArrowLeft: () => stepLayer(-1), ArrowRight: () => stepLayer(1) },
  },
  {
    signs: [',', '.'],
    title: 'previous or next step of training',
    keys: { ',': () => stepTraining(-1), '.': () => stepTraining(1) },
  },
  {
    signs: ['i', 'o'],
    title: 'start or end the layer range at the cursor',
    keys: { i: () => moveInterval({ first: state.cursor.value }), o: () => moveInterval({ last: state.cursor.value }) },
  },
  {
    signs: ['1', '…', '9'],
    title: 'cut the stream with this number at the cursor, or remove the cut',
    keys: Object.fromEntries(STREAMS.map((name) => [name, () => editStream('zero', name)])),
  },
  {
    signs: ['Shift', '1', '…', '9'],
    title: 'restore that stream at the cursor',
    keys: Object.fromEntries(STREAMS.map((name) => [`Shift${name}`, () => editStream('restore', name)])),
  },
  { signs: ['m'], title: 'edit the mixing matrix of the magnified layer, or close it', keys: { m: toggleMatrix } },
  { signs: ['u'], title: 'undo the last edit', keys: { u: undoEdit } },
  { signs: ['a'], title: 'show all layers', keys: { a: showAll } },
  { signs: ['[', ']'], title: 'less or more depth', keys: { '[': () => stepDepth(-1), ']': () => stepDepth(1) } },
  ...(hasServer
    ? [
        { signs: ['r'], title: 'start the runs', keys: { r: runAll } },
        { signs: ['s'], title: 'share this view', keys: { s: () => void openShareDialog() } },
      ]
    : []),
  {
    signs: ['d'],
    title: 'show runs relative to run A',
    keys: { d: () => showDifference(!state.view.value.difference) },
  },
  { signs: ['e'], title: 'all settings', keys: { e: () => (settingsOpened.value = true) } },
  { signs: ['v'], title: 'your views', keys: { v: () => (opened.value = 'views') } },
  { signs: ['f'], title: 'present a figure on the full screen', keys: { f: presentCard } },
  { signs: ['t'], title: 'dark or light', keys: { t: () => setTheme(theme.value === 'dark' ? 'light' : 'dark') } },
  { signs: ['?'], title: 'this list', keys: { '?': () => (opened.value = 'help') } },
];

/** @type {Record<string, () => void>} */
const ACTS = Object.assign({}, ...SHORTCUTS.map((item) => item.keys));

/** Move the cursor by layers. @param {number} by */
function stepLayer(by) {
  moveCursor(state.cursor.value + by);
}

/** Show another training step of the runs, this many further. @param {number} by */
function stepTraining(by) {
  if (state.isTraining.value) moveStep((state.step.value ?? state.steps.value) + by);
}

/** Cut or restore a stream at the cursor, or remove that edit. @param {'zero' | 'restore'} act @param {string} name of its key */
const editStream = (act, name) => toggleStream(null, act, Number(name) - 1, state.cursor.value);

/** Open or close the matrix of the magnified layer for editing. */
function toggleMatrix() {
  if (!isComputing) return;
  if (matrixOpened.value) matrixOpened.value = null;
  else openMatrix('keys');
}

let isStepping = false;

/** Change the depth while the key is down, like dragging the slider. @param {number} by */
function stepDepth(by) {
  const field = state.fields.value.get('depth');
  if (!field) return;
  const stops = stopsOf(field);
  const at = nearestStop(stops, Number(state.baseValue(field)));
  const next = stops[Math.min(Math.max(at + by, 0), stops.length - 1)];
  isStepping = true;
  dragTo(() => state.setBase('depth', next));
}

/** Request the runs of the view on the key for Run, unless they are being computed. */
function runAll() {
  if (!['loading', 'running'].includes(state.phase.value) && !state.hasOnlyRecordings.value) requestRuns(true);
}

/** Return the name of a key, such as `Shift2` for the second character of a digit key; keyboards differ in which one needs Shift. @param {KeyboardEvent} event */
function nameOfKey({ key, code }) {
  const [, digit] = /^Digit([1-9])$/.exec(code) ?? [];
  return digit && !STREAMS.includes(key) ? `Shift${digit}` : key;
}

/** Return whether a key event may be a shortcut: shortcuts are on, no modifier key is down, no input has the focus and nothing is open. @param {KeyboardEvent} event */
function isShortcut(event) {
  const target = /** @type {Element} */ (event.target);
  if (!areShortcutsOn.value || event.ctrlKey || event.metaKey || event.altKey || target.closest(TYPED)) return false;
  if (document.querySelector('dialog[open], :popover-open')) return false;
  return !(event.key.startsWith('Arrow') && target.closest(ARROWED));
}

/** Turn the shortcuts on or off, and store the choice. @param {boolean} isOn */
export function enableShortcuts(isOn) {
  areShortcutsOn.value = isOn;
  storeChoice(KEY, isOn ? null : 'off');
}

/** Listen to shortcuts until the page is closed. */
export function followShortcuts() {
  addEventListener('keydown', (event) => {
    const act = ACTS[nameOfKey(event)];
    if (!act || !isShortcut(event)) return;
    event.preventDefault();
    act();
  });
  addEventListener('keyup', () => {
    if (isStepping) commit();
    isStepping = false;
  });
}
