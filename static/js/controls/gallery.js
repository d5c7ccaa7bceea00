/** The gallery of presets: each with a sketch of its runs, its numbers, and the paper's statement. */

import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { dashOf } from '../cards/swatch.js';
import { formatReduced } from '../data/gain.js';
import { joinPercent } from '../data/numbers.js';
import { inkedFraction, toRunStyles } from '../figures/dress.js';
import { ApiError, getSketches } from '../net/api.js';
import { openPreset } from '../state/actions.js';
import { preloadTemplates, theme } from '../state/look.js';
import { kindsOf, pathOf, presets } from '../state/presets.js';
import * as state from '../state/signals.js';
import { streamsOf } from '../state/spec.js';
import { playSetting } from '../sweep/play.js';
import { html } from '../ui/html.js';
import { Dialog } from '../ui/menu.js';
import { closeDialog, opened } from '../ui/opened.js';
import { toSpark } from './spark.js';

/** @typedef {import('../../types').Preset} Preset @typedef {import('../../types').PresetSketch} PresetSketch @typedef {import('../../types').RunStyle} RunStyle */

const SIZE = { width: 240, height: 64 };

const sketches = signal(/** @type {Map<string, PresetSketch>} */ (new Map()));

/** Render the dialog with the presets. */
export function Gallery() {
  return html`<${Dialog} title="Examples" isOpen=${opened.value === 'presets'} onClose=${closeDialog}><${PresetGroups} /><//>`;
}

/** Render the presets by group. */
function PresetGroups() {
  useEffect(() => (sketches.value.size > 0 ? undefined : loadSketches()), []);
  // The server needs up to half a second for templates that nobody has requested before.
  useEffect(() => void preloadTemplates(new Set(presets.value.map((preset) => kindsOf(preset).length))), []);
  const all = presets.value;
  const groups = new Map(all.map(({ group }) => [group.key, group.title]));
  return html`
    <div class="gallery">
      ${[...groups].map(
        ([key, title]) => html`
        <section aria-labelledby=${`presets-${key}`} key=${key}>
          <h3 id=${`presets-${key}`}>${title}</h3>
          <ul class="gallery-cards">${all.filter(({ group }) => group.key === key).map((preset) => html`<${PresetCard} key=${preset.name} preset=${preset} />`)}</ul>
        </section>`,
      )}
    </div>
  `;
}

/** Load the sketches of all presets once. */
function loadSketches() {
  const aborted = new AbortController();
  getSketches(aborted.signal).then(
    (found) => {
      sketches.value = new Map(found.map((sketch) => [sketch.name, sketch]));
    },
    (error) => {
      if (aborted.signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      state.problem.value = error;
    },
  );
  return () => aborted.abort();
}

/** Open a preset on this page, unless a modifier key opens another tab. @param {MouseEvent} event @param {Preset} preset */
function openInPlace(event, preset) {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  closeDialog();
  openPreset(preset);
  if (preset.plays) void playSetting(preset.plays);
}

/** Render sketch, title and numbers of a preset. @param {{preset: Preset}} props */
function PresetCard({ preset }) {
  const runs = sketches.value.get(preset.name)?.runs ?? [];
  const styles = toRunStyles(kindsOf(preset), theme.value);
  const id = `preset-${preset.name}`;
  return html`
    <li class="gallery-card">
      <a href=${pathOf(preset)} aria-describedby=${id} onClick=${(/** @type {MouseEvent} */ event) => openInPlace(event, preset)}>${preset.title}${preset.plays ? html`<span aria-hidden="true"> ▶</span>` : null}</a>
      <${SketchPicture} runs=${runs} styles=${styles} />
      <div id=${id}>
        <p>${joinPercent(preset.description)}</p>
        <${PresetNumbers} preset=${preset} runs=${runs} styles=${styles} />
        ${
          preset.reference
            ? html`<p class="gallery-reference"><b>${preset.reference.source}:</b> ${joinPercent(preset.reference.says)}</p>
          <p class="hint">${joinPercent(preset.reference.scale)}</p>`
            : null
        }
      </div>
    </li>
  `;
}

/** Render the curves of a preset's runs as a small chart. @param {{runs: PresetSketch['runs'], styles: (RunStyle | null)[]}} props */
function SketchPicture({ runs, styles }) {
  const { width, height } = SIZE;
  const { lines, base } = toSpark(
    runs.map((run) => run.curve),
    width,
    height,
  );
  const inks = lines.map((_, run) => inkedFraction(styles[run]?.dash ?? 'solid'));
  const order = inks.map((_, run) => run).sort((a, b) => inks[b] - inks[a]); // dashed lines on top
  return html`
    <svg class="spark" viewBox=${`-2 -2 ${width + 8} ${height + 4}`} aria-hidden="true">
      ${base === null ? null : html`<line class="spark-base" x1="0" x2=${width} y1=${base} y2=${base} />`}
      ${order.map((run) => {
        const { d, end } = lines[run];
        return html`
        <path d=${d} stroke=${styles[run]?.color} stroke-width=${styles[run]?.width} stroke-dasharray=${dashOf(styles[run])} />
        ${end ? html`<circle cx=${end[0]} cy=${end[1]} r="2.6" fill=${styles[run]?.color} />` : null}`;
      })}
    </svg>
  `;
}

/** Render the numbers of the preset's runs. @param {{preset: Preset, runs: PresetSketch['runs'], styles: (RunStyle | null)[]}} props */
function PresetNumbers({ preset, runs, styles }) {
  return html`
    <p class="gallery-what">${preset.told}</p>
    <dl class="gallery-numbers">
      ${preset.specs.map(
        (item, run) => html`
        <div><dt style=${{ '--run': styles[run]?.color }}>${item.label}</dt><dd>${runs[run] ? formatReduced(preset.metric.key, runs[run], streamsOf(item.spec)) : '…'}</dd></div>`,
      )}
    </dl>
  `;
}
