/** The heading of a preset's view: its text, and our numbers next to the paper's. */

import { joinPercent } from '../data/numbers.js';
import { toRunStyles } from '../figures/dress.js';
import { closePreset, openPreset } from '../state/actions.js';
import { boot } from '../state/boot.js';
import { kindsOf, origin, pathOf, preset, toHeadline } from '../state/presets.js';
import * as state from '../state/signals.js';
import { nameOf } from '../state/spec.js';
import { shownTheme } from '../state/styles.js';
import { PlaySetting } from '../sweep/play.js';
import { html } from '../ui/html.js';

/** @typedef {import('../../types').Preset} Preset */

const isWide = matchMedia('(min-width: 761px)').matches;

/** Render title, text and numbers of the open preset, or the note that the view was changed. */
export function PresetBanner() {
  const from = origin.value;
  if (!from) return null;
  const isShown = preset.value !== null;
  return html`
    <section class="preset-banner" aria-label="Preset">
      <button type="button" class="icon" aria-label="Close the preset" title="Keep the runs, without the text of the preset" onClick=${closePreset}>✕</button>
      <h1>${from.title}</h1>
      ${isShown ? html`<${PresetText} shown=${from} /><${PaperNumbers} shown=${from} />` : html`<${ChangedNote} from=${from} />`}
      ${from.plays ? html`<${PlaySetting} path=${from.plays} canPlay=${isShown} />` : null}
    </section>
  `;
}

/** Render the note that the view was changed. @param {{from: Preset}} props */
function ChangedNote({ from }) {
  const openOriginal = (/** @type {MouseEvent} */ event) => {
    event.preventDefault();
    openPreset(from);
  };
  return html`<p>You changed this preset; its text no longer applies. <a href=${pathOf(from)} onClick=${openOriginal}>Back to the preset</a></p>`;
}

/** Render the text of the preset. @param {{shown: Preset}} props */
function PresetText({ shown }) {
  const { reference } = shown;
  return html`
    <div class="preset-claim">
      <p>${joinPercent(shown.description)} ${describeInit(shown)}</p>
      ${reference ? html`<${PresetSource} reference=${reference} />` : null}
    </div>
  `;
}

/** Describe the initialisation of mHC if it differs from the first screen; empty for presets that compare initialisations. @param {Preset} shown */
function describeInit({ specs }) {
  const [here, there] = [specs.map(({ spec }) => spec), boot.rules.opening].map(startsOf);
  if (here.length !== 1 || here[0] === there[0]) return '';
  return `mHC is initialised as “${nameOf(here[0])}” here, as “${nameOf(there[0])}” on the first screen.`;
}

/** List the distinct initialisations of mHC runs. @param {any[]} specs */
const startsOf = (specs) => [
  ...new Set(specs.flatMap(({ connection }) => (connection.kind === 'mhc' ? [connection.init] : []))),
];

/** Render the source of a preset, closed on phones, so that the figure fits the first screen. @param {{reference: NonNullable<Preset['reference']>}} props */
function PresetSource({ reference }) {
  return html`
    <details open=${isWide}>
      <summary>Source and scale</summary>
      <p class="hint"><b>${reference.source}:</b> ${joinPercent(reference.says)}</p>
      <p class="hint"><b>Scale:</b> ${joinPercent(reference.scale)}</p>
    </details>
  `;
}

/** Render our numbers next to the paper's. @param {{shown: Preset}} props */
function PaperNumbers({ shown }) {
  state.dataTick.value;
  const theirs = shown.reference?.numbers ?? {};
  const styles = toRunStyles(kindsOf(shown), shownTheme.value);
  const hasTheirs = Object.keys(theirs).length > 0;
  return html`
    <table class="preset-numbers">
      <caption>${shown.told}</caption>
      <thead><tr><th scope="col">run</th><th scope="col">here</th>${hasTheirs ? html`<th scope="col">paper</th>` : null}</tr></thead>
      <tbody>
        ${shown.specs.map(
          ({ label }, run) => html`
          <tr>
            <th scope="row" style=${{ '--run': styles[run]?.color }}>${boot.rules.letters[run]} ${label}</th>
            <td>${numberOf(shown, run)}</td>
            ${hasTheirs ? html`<td>${theirs[label] ?? '–'}</td>` : null}
          </tr>`,
        )}
      </tbody>
    </table>
  `;
}

/** Format the main number of a preset's run. @param {Preset} shown @param {number} run */
function numberOf(shown, run) {
  const slot = state.slots.value[run];
  return (slot && toHeadline(shown, slot.columns)) ?? '…';
}
