/** What a map's menu takes away: images, numbers, the figure itself. */

import { copyImage, copyText, tell } from './clipboard.js';
import { download, downloadText } from './export.js';
import { toSweep } from './grid.js';
import { fitMap, mapAxes, mapTitle, missingText, toDelimitedMap } from './mapdata.js';
import { toImage } from './plot.js';
import { kindName } from './spec.js';
import * as state from './state.js';

/** @typedef {import('../types').MapChoice} MapChoice @typedef {import('../types').SweepValues} SweepValues @typedef {import('../types').Figure} Figure */

const WIDTH_PX = 960;
const NAME = 'mhc-scope-map';

/** What is varied, in one line under what leaves the page. @param {MapChoice} map @param {SweepValues} values */
function footLine(map, values) {
  const { spec } = toSweep(state.fields.value, state.view.value, map);
  const swept = [map.x.path, map.y?.path];
  const settings = ['depth', 'width', 'seed', 'dtype'].filter((path) => !swept.includes(path)).map((path) => `${path === 'dtype' ? '' : `${path} `}${spec[path] ?? state.fields.value.get(path)?.initial}`);
  const counts = Object.values(values.counts).reduce((a, b) => a + b, 0);
  return `mHC Scope · ${kindName(state.view.value.runs[map.run].kind)} · ${settings.join(', ')} · ${counts} runs, sweep ${values.id.slice(0, 8)}`;
}

/** @param {MapChoice} map @param {SweepValues} values @param {Figure} figure @param {'png' | 'svg'} format */
function drawImage(map, values, figure, format) {
  const { figure: fitted, height } = fitMap(figure, WIDTH_PX);
  const left = missingText(values.counts);
  return toImage(fitted, format, `${mapTitle(values)} · ${mapAxes(state.fields.value, map)}`, `${footLine(map, values)}${left ? ` · ${left}` : ''}`, { width: WIDTH_PX, height });
}

/** @param {MapChoice} map @param {{values: SweepValues, figure: Figure}} shown */
export function mapItems(map, { values, figure }) {
  const image = (/** @type {'png' | 'svg'} */ format) => void drawImage(map, values, figure, format).then((url) => download(url, `${NAME}.${format}`));
  return [
    { title: 'Copy as image', note: 'for a chat or a slide', run: () => void copyImage(drawImage(map, values, figure, 'png')).then(tell) },
    { title: 'PNG', note: 'image, twice the pixels', run: () => image('png') },
    { title: 'SVG', note: 'image for print', run: () => image('svg') },
    { title: 'CSV', note: 'the numbers', run: () => downloadText(toDelimitedMap(map, values, ','), 'text/csv', `${NAME}.csv`) },
    { title: 'JSON', note: 'the Plotly figure', run: () => downloadText(JSON.stringify(figure), 'application/json', `${NAME}.json`) },
    { title: 'Copy the numbers', note: 'for a spreadsheet', run: () => void copyText(toDelimitedMap(map, values, '\t')).then(tell) },
  ];
}
