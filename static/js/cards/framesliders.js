/** Sliders below an embedded card, for columns that can be derived from its runs without the server. */

import { useRef, useState } from 'preact/hooks';
import { depthOf } from '../data/record.js';
import { ROOT } from '../net/sent.js';
import { moveIfDerivable } from '../state/actions.js';
import { boot } from '../state/boot.js';
import { toHash } from '../state/hash.js';
import * as state from '../state/signals.js';
import { appliesTo, nearestStop, settingOf, stopsOf } from '../state/spec.js';
import { html } from '../ui/html.js';

/** @typedef {import('../../types').Field} Field */

const PATHS = ['depth', 'connection.noise', 'connection.sinkhorn_iters'];

/** Render the sliders below an embedded figure, which work without a server, once the runs are complete. */
export function FrameSliders() {
  const layers = useRef(0);
  const [isRefused, setRefused] = useState(false);
  state.dataTick.value;
  layers.current = Math.max(layers.current, wholeLayers());
  const fields = movableFields();
  if (layers.current === 0 || fields.length === 0) return null;
  const move = (/** @type {Field} */ field, /** @type {number} */ value) =>
    setRefused(!moveIfDerivable(() => state.setBase(field.path, value)));
  const link = html`<a href=${`${ROOT}/#${toHash(state.view.value, boot.rules)}`} target="_blank" rel="noopener">Compute this view</a>`;
  return html`
    <details class="try-it">
      <summary>Try it</summary>
      ${fields.map((field) => html`<${MovableSlider} key=${field.path} field=${field} layers=${layers.current} move=${move} />`)}
      <p class="hint" aria-live="polite">${isRefused ? 'The data of these runs does not cover this value. ' : 'Derived from these runs; dimmed figures need new runs. '}${link}</p>
    </details>
  `;
}

/** List the settings that the sliders can change without a server. */
export function movableFields() {
  return PATHS.flatMap((path) => state.fields.value.get(path) ?? []).filter(isMovable);
}

/** Return the depth of the shallowest run once all runs are complete, else 0. */
export function wholeLayers() {
  const slots = state.slots.value;
  const isComplete = slots.length > 0 && slots.every(({ columns }) => columns.end?.status === 'done');
  return isComplete ? Math.min(...slots.map(({ columns }) => depthOf(columns))) : 0;
}

/** Return whether all runs share a setting and it applies to one of them. @param {Field} field */
function isMovable(field) {
  const { value: view } = state.view;
  const isShared = view.runs.every((choice) => !(field.path in choice.own));
  return isShared && view.runs.some((choice) => appliesTo(state.fields.value, view, choice, field));
}

/** Render the slider of a setting that all runs share. @param {{field: Field, layers: number, move: (field: Field, value: number) => void}} props */
function MovableSlider({ field, layers, move }) {
  const stops = stopsOf(field).filter((stop) => field.path !== 'depth' || stop <= layers);
  const value = Number(settingOf(state.view.value, { kind: '', own: {} }, field));
  const at = nearestStop(stops, value);
  return html`
    <label>${field.title} <output>${value}</output>
      <input type="range" min="0" max=${stops.length - 1} step="1" value=${at} style=${{ '--share': `${(100 * at) / Math.max(1, stops.length - 1)}%` }}
        aria-valuetext=${`${value} ${field.unit}`} onInput=${(/** @type {any} */ event) => move(field, stops[Number(event.target.value)])} />
    </label>
  `;
}
