/** An embedded card with the sweep of a snapshot; its cells link to the page of their runs. */

import { signal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import { describeError, getSweepFigure, getSweepValues, retryWhileBusy } from '../net/api.js';
import { ROOT } from '../net/sent.js';
import { isPrinting } from '../plots/print.js';
import { boot } from '../state/boot.js';
import { toHash } from '../state/hash.js';
import { theme } from '../state/look.js';
import * as state from '../state/signals.js';
import { kindName } from '../state/spec.js';
import { toCellView } from '../state/sweep.js';
import { html } from '../ui/html.js';
import { Menu } from '../ui/menu.js';
import { describeAxes } from './cells.js';
import { SweepFigure, SweepHelp, SweepTable } from './figure.js';
import { exportItems, sweepFoot } from './files.js';

/** @typedef {import('../../types').Figure} Figure */

const shown = signal(
  /** @type {{values: import('../../types').SweepValues, screen: Figure, paper: Figure} | null} */ (null),
);
const failure = signal('');

/** Load numbers and figures of a snapshot's sweep. @param {import('../../types').SweepLinks} links @param {import('../../types').SweepChoice} sweep */
async function loadSweep(links, sweep) {
  const draw = (/** @type {string} */ name) => getSweepFigure(links, sweep.metric, sweep.reduce, name);
  const request = async () => {
    const values = await getSweepValues(links, sweep.metric, sweep.reduce); // reads every run first; the figures are fast afterwards
    const [screen, paper] = await Promise.all([draw(theme.value), theme.value === 'dark' ? draw('light') : null]);
    return { values, screen, paper };
  };
  try {
    const { values, screen, paper } = await retryWhileBusy(request, (error) => {
      failure.value = describeError(error);
      return true;
    });
    failure.value = '';
    shown.value = { values, screen, paper: paper ?? screen };
  } catch (error) {
    failure.value = describeError(error);
  }
}

/** Render the card of a snapshot's sweep. @param {{view: import('../../types').View, sweep: import('../../types').SweepChoice, links: import('../../types').SweepLinks}} props `view` has the run that is varied */
export function SweepCard({ view, sweep, links }) {
  const [isTable, setIsTable] = useState(false);
  useEffect(() => void loadSweep(links, sweep), []);
  const { value: found } = shown;
  const fields = state.fields.value;
  const lead = {
    toHref: (/** @type {number} */ row, /** @type {number} */ column) =>
      `${ROOT}/#${toHash(toCellView(fields, view, sweep, row, column), boot.rules)}`,
  };
  const figure = found && (isPrinting.value ? found.paper : found.screen);
  const tableItem = { title: isTable ? 'Show as figure' : 'Show as table', run: () => setIsTable(!isTable) };
  return html`
    <section class="card panel sweep-card" id="panel-map" data-panel="map" aria-labelledby="panel-map-title" aria-busy=${!found && !failure.value}>
      <header class="card-head">
        <div class="card-title">
          <h1 id="panel-map-title">Sweep</h1>
          <span class="unit">${kindName(view.runs[sweep.run].kind)} · ${describeAxes(fields, sweep)}</span>
        </div>
        ${found ? html`<div class="card-tools"><${SweepHelp} metric=${found.values.metric} /><${Menu} label="Sweep: more" items=${[tableItem, ...exportItems(view, sweep, { values: found.values, figure: found.screen }, () => Promise.resolve(found.paper))]} /></div>` : null}
      </header>
      ${failure.value ? html`<p class="error" role="alert">${failure.value}</p>` : null}
      ${
        found && figure
          ? html`
        <p class="meaning"><b>${found.values.title}.</b> ${found.values.metric.meaning}</p>
        ${isTable ? html`<${SweepTable} sweep=${sweep} values=${found.values} lead=${lead} />` : html`<${SweepFigure} sweep=${sweep} values=${found.values} figure=${figure} lead=${lead} />`}
        <p class="hint">${sweepFoot(view, sweep, found.values)}</p>`
          : failure.value
            ? null
            : html`<p class="sweep-empty hint" role="status">Loading the numbers of all runs.</p>`
      }
    </section>
  `;
}
