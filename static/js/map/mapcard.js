/** An embedded card with the sweep of a snapshot; its cells link to the page of their runs. */

import { signal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import { isPrinting } from '../figures/print.js';
import { ApiError, getSweepFigure, getSweepValues, retryWhileBusy } from '../net/api.js';
import { ROOT } from '../net/sent.js';
import { boot } from '../state/boot.js';
import { theme } from '../state/look.js';
import * as state from '../state/signals.js';
import { withCell } from '../state/view/grid.js';
import { toHash } from '../state/view/hash.js';
import { kindName } from '../state/view/spec.js';
import { html } from '../ui/html.js';
import { Menu } from '../ui/menu.js';
import { mapAxes } from './cells.js';
import { MapFigure, MapTable } from './figure.js';
import { mapFoot, mapItems } from './files.js';
import { MapHelp } from './reading.js';

/** @typedef {import('../../types').Figure} Figure */

const shown = signal(
  /** @type {{values: import('../../types').SweepValues, screen: Figure, paper: Figure} | null} */ (null),
);
const failure = signal('');

/** Load numbers and figures of a snapshot's sweep. @param {import('../../types').SweepLinks} links @param {import('../../types').MapChoice} map */
async function loadMap(links, map) {
  const draw = (/** @type {string} */ name) => getSweepFigure(links, map.metric, map.reduce, name);
  const request = async () => {
    const values = await getSweepValues(links, map.metric, map.reduce); // reads every run first; the figures are fast afterwards
    const [screen, paper] = await Promise.all([draw(theme.value), theme.value === 'dark' ? draw('light') : null]);
    return { values, screen, paper };
  };
  try {
    const { values, screen, paper } = await retryWhileBusy(request, (error) => {
      failure.value = `${error.title}: ${error.message}`;
      return true;
    });
    failure.value = '';
    shown.value = { values, screen, paper: paper ?? screen };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    failure.value = `${error.title}: ${error.message}`;
  }
}

/** Render the card of a snapshot's sweep. @param {{view: import('../../types').View, map: import('../../types').MapChoice, links: import('../../types').SweepLinks}} props `view` has the run that is varied */
export function MapCard({ view, map, links }) {
  const [isTable, setIsTable] = useState(false);
  useEffect(() => void loadMap(links, map), []);
  const { value: found } = shown;
  const fields = state.fields.value;
  const lead = {
    toHref: (/** @type {number} */ row, /** @type {number} */ column) =>
      `${ROOT}/#${toHash(withCell(fields, view, map, row, column), boot.rules)}`,
  };
  const figure = found && (isPrinting.value ? found.paper : found.screen);
  const tableItem = { title: isTable ? 'Show as figure' : 'Show as table', run: () => setIsTable(!isTable) };
  return html`
    <section class="card panel map-card" id="panel-map" data-panel="map" aria-labelledby="panel-map-title" aria-busy=${!found && !failure.value}>
      <header class="card-head">
        <div class="card-title">
          <h1 id="panel-map-title">Sweep</h1>
          <span class="unit">${kindName(view.runs[map.run].kind)} · ${mapAxes(fields, map)}</span>
        </div>
        ${found ? html`<div class="card-tools"><${MapHelp} metric=${found.values.metric} /><${Menu} label="Sweep: more" items=${[tableItem, ...mapItems(view, map, { values: found.values, figure: found.screen }, () => Promise.resolve(found.paper))]} /></div>` : null}
      </header>
      ${failure.value ? html`<p class="error" role="alert">${failure.value}</p>` : null}
      ${
        found && figure
          ? html`
        <p class="meaning"><b>${found.values.title}.</b> ${found.values.metric.meaning}</p>
        ${isTable ? html`<${MapTable} map=${map} values=${found.values} lead=${lead} />` : html`<${MapFigure} map=${map} values=${found.values} figure=${figure} lead=${lead} />`}
        <p class="hint">${mapFoot(view, map, found.values)}</p>`
          : failure.value
            ? null
            : html`<p class="map-empty hint" role="status">Loading the numbers of all runs.</p>`
      }
    </section>
  `;
}
