/** What a card's menu takes away: images, numbers, the figure itself. */

import { toUnit } from '../data/difference.js';
import { describeRecord } from '../data/record.js';
import { isInterval, toPlaces } from '../figures/places.js';
import { toImage } from '../figures/plot.js';
import { fillShown } from '../figures/shown.js';
import { toDelimited } from '../figures/table.js';
import { API } from '../net/api.js';
import { boot } from '../state/boot.js';
import { theme } from '../state/look.js';
import * as state from '../state/signals.js';
import { kindName } from '../state/spec.js';
import { copyImage, copyText, notify } from '../ui/clipboard.js';
import { toFigurePath, toFigureQuery } from './snippets.js';

/** @typedef {import('../../types').Panel} Panel @typedef {import('../../types').PanelView} PanelView */

const IMAGE = { width: 960, height: 420 };

/** @param {string} url @param {string} name */
export function download(url, name) {
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
}

/** @param {string} text @param {string} type @param {string} name */
export function downloadText(text, type, name) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  download(url, name);
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** What is shown, in one line under what leaves the page. */
export function footLine() {
  const ids = state.slots.value.map((slot) => slot.id.slice(0, 8)).join(', ');
  const [first] = state.slots.value;
  return `mHC Scope · ${first ? describeRecord(first.columns) : ''} · runs ${ids}`;
}

/** How this panel is asked for as its card shows it. @param {Panel} panel */
export function figureQuery(panel) {
  const usual = state.view.value.runs.map(
    (choice, run) => `${boot.rules.letters[run]} ${state.models.value[run] ?? kindName(choice.kind)}`,
  );
  const labels = state.labels.value;
  return toFigureQuery({
    view: state.viewOf(panel).key,
    layer: state.cursor.value,
    step: state.step.value,
    interval: isInterval(state.viewOf(panel)) ? state.interval.value : null,
    theme: theme.value,
    difference: state.isDifference.value,
    labels: labels.join() === usual.join() ? null : labels,
  });
}

/** Where the server gives this figure to a notebook. @param {Panel} panel */
function figureUrl(panel) {
  return (
    API +
    toFigurePath(
      state.slots.value.map((slot) => slot.id),
      panel.key,
      figureQuery(panel),
    )
  );
}

/** The card's figure as an image with its title. @param {Panel} panel @param {PanelView} view @param {'png' | 'svg'} format @returns {Promise<string>} a data URL */
function drawImage(panel, view, format) {
  const unit = state.isDifference.value ? toUnit(view.figure, view.unit) : view.unit;
  const places = toPlaces(panel, view);
  return toImage(
    fillShown(panel, view.figure),
    format,
    `${panel.title}${places ? `: ${places}` : ''} · ${unit}`,
    footLine(),
    IMAGE,
  );
}

/** What is done in a moment is told when it is. @param {Promise<string>} doing */
const notifyWhenDone = (doing) => void doing.then(notify);

/** @param {Panel} panel @param {PanelView} view */
export function exportItems(panel, view) {
  const name = `mhc-scope-${panel.key}`;
  const image = (/** @type {'png' | 'svg'} */ format) =>
    void drawImage(panel, view, format).then((url) => download(url, `${name}.${format}`));
  return [
    {
      title: 'Copy as image',
      note: 'for a chat or a slide',
      run: () => notifyWhenDone(copyImage(drawImage(panel, view, 'png'))),
    },
    { title: 'PNG', note: 'image, twice the pixels', run: () => image('png') },
    { title: 'SVG', note: 'image for print', run: () => image('svg') },
    { title: 'CSV', note: 'the numbers', run: () => downloadText(toDelimited(panel, ','), 'text/csv', `${name}.csv`) },
    { title: 'JSON', note: 'the Plotly figure', run: () => download(figureUrl(panel), `${name}.json`) },
    {
      title: 'Copy the numbers',
      note: 'for a spreadsheet',
      run: () => notifyWhenDone(copyText(toDelimited(panel, '\t'))),
    },
  ];
}
