/** Presets as a gallery: each with a small picture of its real runs, its numbers, and what a paper says of it. */

import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { formatValue } from '../data/numbers.js';
import { ApiError, getPreviews } from '../net/api.js';
import { openPreset } from '../state/actions.js';
import { REDUCTIONS } from '../state/grid.js';
import { theme } from '../state/look.js';
import { html } from '../ui/html.js';
import { Dialog } from '../ui/menu.js';
import { playSetting } from './play.js';
import { toSpark } from './spark.js';

/** @typedef {import('../../types').Preset} Preset @typedef {import('../../types').Preview} Preview @typedef {import('../../types').RunStyle} RunStyle */

const LOOK_MS = 700;
const SIZE = { width: 240, height: 64 };

export const presets = signal(/** @type {import('../../types').Presets | null} */ (null));
const previews = signal(/** @type {Map<string, Preview>} */ (new Map()));
const isOpen = signal(false);

export function PresetsButton() {
  return html`<button type="button" class="presets" onClick=${() => (isOpen.value = true)}>Presets</button>`;
}

export function Gallery() {
  return html`<${Dialog} title="Presets" isOpen=${isOpen.value} onClose=${() => (isOpen.value = false)}><${Groups} /><//>`;
}

function Groups() {
  useEffect(follow, []);
  const all = presets.value?.presets ?? [];
  const groups = new Map(all.map(({ group }) => [group.key, group.title]));
  return html`
    <div class="gallery">
      ${[...groups].map(
        ([key, title]) => html`
        <section aria-labelledby=${`presets-${key}`} key=${key}>
          <h3 id=${`presets-${key}`}>${title}</h3>
          <ul class="gallery-cards">${all.filter(({ group }) => group.key === key).map((preset) => html`<${Card} key=${preset.name} preset=${preset} />`)}</ul>
        </section>`,
      )}
    </div>
  `;
}

/** Ask while it is open and something is missing: the server computes what someone looks for. */
function follow() {
  const aborted = new AbortController();
  let timer = 0;
  const look = async () => {
    let wait_ms = LOOK_MS;
    try {
      const found = await getPreviews(aborted.signal);
      previews.value = new Map(found.map((preview) => [preview.name, preview]));
      if (!found.some((preview) => preview.runs.some((run) => run.status === 'missing'))) return;
    } catch (error) {
      if (aborted.signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      wait_ms = 1000 * (error.retryAfter_s ?? 5);
    }
    timer = setTimeout(look, wait_ms);
  };
  void look();
  return () => {
    aborted.abort();
    clearTimeout(timer);
  };
}

/** @param {Preset} preset */
function choose(preset) {
  isOpen.value = false;
  openPreset(preset);
  if (preset.plays) void playSetting(preset.plays);
}

/** @param {{preset: Preset}} props */
function Card({ preset }) {
  const runs = previews.value.get(preset.name)?.runs ?? [];
  const styles = presets.value?.styles[theme.value] ?? [];
  const id = `preset-${preset.name}`;
  return html`
    <li class="gallery-card">
      <button type="button" aria-describedby=${id} onClick=${() => choose(preset)}>${preset.title}${preset.plays ? html`<span aria-hidden="true"> ▶</span>` : null}</button>
      <${Picture} runs=${runs} styles=${styles} />
      <div id=${id}>
        <p>${preset.description}</p>
        <${Told} preset=${preset} runs=${runs} styles=${styles} />
        ${
          preset.reference
            ? html`<p class="gallery-reference"><b>${preset.reference.source}:</b> ${preset.reference.says}</p>
          <p class="hint">${preset.reference.scale}</p>`
            : null
        }
      </div>
    </li>
  `;
}

/** @param {{runs: Preview['runs'], styles: RunStyle[]}} props */
function Picture({ runs, styles }) {
  const { width, height } = SIZE;
  const { lines, base } = toSpark(
    runs.map((run) => run.curve),
    width,
    height,
  );
  const isWaiting = runs.length === 0 || runs.some((run) => run.status === 'missing');
  return html`
    <svg class=${`spark ${isWaiting ? 'waiting' : ''}`} viewBox=${`-2 -2 ${width + 8} ${height + 4}`} aria-hidden="true">
      ${base === null ? null : html`<line class="spark-base" x1="0" x2=${width} y1=${base} y2=${base} />`}
      ${lines.map(
        ({ d, end }, run) => html`
        <path d=${d} stroke=${styles[run]?.color} stroke-width=${styles[run]?.width} stroke-dasharray=${dashOf(styles[run])} />
        ${end ? html`<circle cx=${end[0]} cy=${end[1]} r="2.6" fill=${styles[run]?.color} />` : null}`,
      )}
    </svg>
  `;
}

/** @param {RunStyle | undefined} style */
function dashOf(style) {
  return !style || style.dash === 'solid' ? undefined : style.dash.replaceAll('px', '');
}

/** Our numbers, from the runs themselves. @param {{preset: Preset, runs: Preview['runs'], styles: RunStyle[]}} props */
function Told({ preset, runs, styles }) {
  const where = preset.metric.key.startsWith('step_') ? 'over steps' : 'over layers';
  const how = { first: 'first layer', last: 'last layer' }[preset.reduce] ?? `${REDUCTIONS[preset.reduce]} ${where}`;
  return html`
    <p class="gallery-what">${preset.metric.title}, ${how}</p>
    <dl class="gallery-numbers">
      ${preset.specs.map(
        (item, run) => html`
        <div><dt style=${{ '--run': styles[run]?.color }}>${item.label}</dt><dd>${numberOf(runs[run])}</dd></div>`,
      )}
    </dl>
  `;
}

/** @param {Preview['runs'][number] | undefined} run */
function numberOf(run) {
  if (!run || run.status === 'missing') return '…';
  return run.status === 'failed' ? 'failed' : formatValue(run.value, run.log10, run.number ?? undefined);
}
