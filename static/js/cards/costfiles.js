/** Exports of the cost card; the server creates them from the settings that all runs share. */

import { postCostsCsv, postCostsFigure } from '../net/api.js';
import { toImage } from '../plots/plot.js';
import { listRuns, withLink } from '../share/caption.js';
import { download, downloadPdf, downloadText, figureToPdf } from '../share/export.js';
import { theme } from '../state/look.js';
import { copyText, notify } from '../ui/clipboard.js';

const NAME = 'mhc-scope-cost';
const IMAGE = { width: 1200, height: 420 };
const PAPER = { width: 900, height: 300 };
const TITLE = 'Cost · added to the residual connection, predicted';

/** List the menu items that export the costs: image, PDF, CSV. @param {() => any} toSpec @param {(error: unknown) => void} fail */
export function costItems(toSpec, fail) {
  const figure = () => postCostsFigure(toSpec(), theme.value);
  const toFoot = () => {
    const { depth, width, seed } = toSpec();
    const settings = [
      ['depth', depth],
      ['width', width],
      ['seed', seed],
    ]
      .filter(([, value]) => value !== undefined)
      .map((pair) => pair.join(' '));
    return ['mHC Scope', settings.length > 0 ? settings.join(', ') : 'default stack'].join(' · ');
  };
  const image = async (/** @type {'png' | 'svg'} */ format) =>
    download(await toImage(await figure(), format, TITLE, toFoot(), IMAGE), `${NAME}.${format}`);
  const pdf = async () =>
    figureToPdf(
      await postCostsFigure(toSpec(), 'light'),
      PAPER,
      withLink(TITLE, [`${toFoot()}.`, `Predicted for the settings that these runs share: ${listRuns()}.`]),
    );
  const items = [
    { title: 'PNG', note: 'image, twice the pixels', run: () => image('png') },
    { title: 'SVG', note: 'image for print', run: () => image('svg') },
    { title: 'PDF', note: 'lines and letters, with a caption', run: () => downloadPdf(pdf(), `${NAME}.pdf`) },
    {
      title: 'CSV',
      note: 'the numbers',
      run: async () => downloadText(await postCostsCsv(toSpec()), 'text/csv', `${NAME}.csv`),
    },
    {
      title: 'JSON',
      note: 'the Plotly figure',
      run: async () => downloadText(JSON.stringify(await figure()), 'application/json', `${NAME}.json`),
    },
    {
      title: 'Copy the numbers',
      note: 'for a spreadsheet',
      run: async () => notify(await copyText((await postCostsCsv(toSpec())).replaceAll(',', '\t'))),
    },
  ];
  return items.map((item) => ({ ...item, run: () => void item.run().catch(fail) }));
}
