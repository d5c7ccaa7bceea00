/** Exports of a sweep: images, numbers, and the figure itself. */

import { toImage } from '../plots/plot.js';
import { listRuns, withLink } from '../share/caption.js';
import { download, downloadPdf, downloadText, figureToPdf } from '../share/export.js';
import { WIDTH_PX as PAPER_PX } from '../share/paper.js';
import * as state from '../state/signals.js';
import { copyImage, copyText, notify } from '../ui/clipboard.js';
import { describeAxes, describeSharedSettings, fitSweepFigure, missingText, toDelimitedSweep } from './cells.js';

/** @typedef {import('../../types').SweepChoice} SweepChoice @typedef {import('../../types').SweepValues} SweepValues @typedef {import('../../types').Figure} Figure */

const WIDTH_PX = 960;
const NAME = 'mhc-scope-sweep';

/** Build the foot line of exported images of a sweep. @param {import('../../types').View} view with the run that is varied @param {SweepChoice} sweep @param {SweepValues} values */
export function sweepFoot(view, sweep, values) {
  const count = Object.values(values.counts).reduce((a, b) => a + b, 0);
  const left = missingText(values.counts);
  return [
    'mHC Scope',
    describeSharedSettings(state.fields.value, view, sweep),
    `${count} runs, sweep ${values.id.slice(0, 8)}`,
    ...(left ? [left] : []),
  ].join(' · ');
}

/** List the menu items that export a sweep. @param {import('../../types').View} view with the run that is varied @param {SweepChoice} sweep @param {{values: SweepValues, figure: Figure}} shown @param {() => Promise<Figure>} toPaper in the light theme */
export function exportItems(view, sweep, { values, figure }, toPaper) {
  const { figure: fitted, height } = fitSweepFigure(figure, WIDTH_PX);
  const title = `${values.title} · ${describeAxes(state.fields.value, sweep)}`;
  const draw = (/** @type {'png' | 'svg'} */ format) =>
    toImage(fitted, format, title, sweepFoot(view, sweep, values), { width: WIDTH_PX, height });
  const image = (/** @type {'png' | 'svg'} */ format) =>
    void draw(format).then((url) => download(url, `${NAME}.${format}`));
  const pdf = async () => {
    const { figure: onPaper, height } = fitSweepFigure(await toPaper(), PAPER_PX);
    const caption = withLink(title, [
      values.metric.meaning,
      `${sweepFoot(view, sweep, values)}.`,
      `Sweep ${values.id}. Runs in the view: ${listRuns()}.`,
    ]);
    return figureToPdf(onPaper, { width: PAPER_PX, height }, caption);
  };
  return [
    { title: 'Copy as image', note: 'for a chat or a slide', run: () => void copyImage(draw('png')).then(notify) },
    { title: 'PNG', note: 'image, 2× resolution', run: () => image('png') },
    { title: 'SVG', note: 'image for print', run: () => image('svg') },
    { title: 'PDF', note: 'vector graphics, with a caption', run: () => void downloadPdf(pdf(), `${NAME}.pdf`) },
    {
      title: 'CSV',
      note: 'the numbers',
      run: () => downloadText(toDelimitedSweep(sweep, values, ','), 'text/csv', `${NAME}.csv`),
    },
    {
      title: 'JSON',
      note: 'the Plotly figure',
      run: () => downloadText(JSON.stringify(figure), 'application/json', `${NAME}.json`),
    },
    {
      title: 'Copy the numbers',
      note: 'for a spreadsheet',
      run: () => void copyText(toDelimitedSweep(sweep, values, '\t')).then(notify),
    },
  ];
}
