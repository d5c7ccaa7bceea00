/** Words around the strips: whose they are, which layers they span, what widths and lines are. No browser here. */

import { shortenName } from '../../data/labels.js';
import { range } from '../../data/numbers.js';
import { xOf } from './layout.js';
import { spanOf } from './reading.js';
import { formatLog, keysOf, widthAt } from './scale.js';
import { fitText, toLine, toText, widthOf } from './shapes.js';
import { layersPerLine } from './strip.js';

/** @typedef {import('./reading.js').Reading} Reading @typedef {import('./shapes.js').Shape} Shape @typedef {import('./layout.js').Layout} Layout @typedef {import('./scale.js').Scale} Scale */

const SIZES = [15, 14, 13]; // of letters of a name, the first that fits
const NAME_SHARE = 0.62; // of the room on a phone
const BOLD = 1.13; // times the width of other letters
const SMALL = 12;
const HEAD_Y = 10;
const ROW_PX = 17;
const KEY_PX = 22; // the length of a line in the key
const ROOMY_PX = 800; // where the key has room under the strips alone

/** A run's name and what was measured of it. @param {import('./picture.js').Shown} shown @param {number} run @param {Layout} layout @returns {Shape[]} */
export function toLabel({ label, name = label, reading, gain, end }, run, { bands, isNarrow }) {
  const { x, y, room } = bands[run].label;
  const { text, size } = fitName(label, name, isNarrow ? NAME_SHARE * room : room);
  const head = toText(x, y, text, run, { size, isBold: true, ...(name === text ? {} : { title: name }) });
  const words = reading ? toWords(reading, gain) : [[end ?? '…']];
  if (isNarrow) return [head, toAside(words, x + room, y, room - widthOf(text, size + 1) - 16)];
  const rows = words.map((forms, row) => {
    const text = forms.find((form) => widthOf(form, SMALL) <= room) ?? fitText(forms[forms.length - 1], SMALL, room);
    return toText(x, y + 20 + ROW_PX * row, text, row === 0 ? 'ink' : 'muted', { size: SMALL });
  });
  return [head, ...rows];
}

/** A label in letters as large as they fit, or its whole name as far as it does. @param {string} label @param {string} name @param {number} room in pixels */
function fitName(label, name, room) {
  const fits = (/** @type {string} */ text, /** @type {number} */ size) => widthOf(text, BOLD * size) <= room;
  const size = SIZES.find((one) => fits(label, one)) ?? SIZES[SIZES.length - 1];
  const [letter, ...words] = name.split(' ');
  const told = `${letter} …${words.slice(1).join(' ')}`; // what tells it from others of its method
  let text = !fits(label, size) && label === name && words.length > 1 && fits(told, size) ? told : label;
  for (let most = label.length - 3; !fits(text, size) && most > 2; most--)
    text = `${letter} ${shortenName(words.join(' '), most)}`;
  return { text, size };
}

/** What is measured of a run, in a few words, each in a longer and a shorter form. @param {Reading} reading @param {number | null} gain log10 @returns {string[][]} */
function toWords(reading, gain) {
  const span = spanOf([reading], 'sizes');
  return [
    [reading.streams === 1 ? 'one stream' : `${reading.streams} streams`],
    ...(span ? [saySpan(reading, `${formatLog(span[0])} to ${formatLog(span[1])}`)] : []),
    ...(gain === null ? [] : [[`shared signal × ${formatLog(gain)}`, `shared × ${formatLog(gain)}`]]),
  ];
}

/** Other cards show the size of the mean of all streams, which is smaller where they differ. @param {Reading} reading @param {string} span */
function saySpan({ streams }, span) {
  return [`${streams === 1 ? 'size' : 'sizes'} ${span}`, span];
}

/** The words in one line, as many of them as fit: half a number is none. @param {string[][]} words @param {number} x its right end @param {number} y @param {number} room */
function toAside(words, x, y, room) {
  const told = range(1, words.length).map((count) =>
    words
      .slice(0, count)
      .map(([text]) => text)
      .join(' · '),
  );
  const most = told.findLast((text) => widthOf(text, SMALL) <= room) ?? told[0];
  return toText(x, y, fitText(most, SMALL, room), 'muted', { size: SMALL, anchor: 'end' });
}

/** The ends of the layers, over the strips. @param {Layout} layout @returns {Shape[]} */
export function toHead({ bands, layers }) {
  const { left, right } = bands[0].strip;
  return [
    toText(left, HEAD_Y, 'layer 1', 'muted', { size: SMALL }),
    toText(right, HEAD_Y, String(layers), 'muted', { size: SMALL, anchor: 'end' }),
  ];
}

/** Which layer is magnified; on a phone beside its lens. @param {Layout} layout @param {number} layer @returns {Shape} */
export function toCursorHead(layout, layer) {
  const [band] = layout.bands;
  const name = `layer ${layer + 1} magnified`;
  if (!layout.isNarrow) {
    const long = `${name}: sizes before, sizes after`;
    const isRoom = widthOf(long, SMALL) <= band.glass.right - band.glass.left;
    return toText(band.glass.left, HEAD_Y, isRoom ? long : name, 'ink', { size: SMALL });
  }
  const text = `${name} below`;
  const half = widthOf(text, SMALL) / 2;
  const x = Math.min(
    Math.max(xOf(layout, band, layer + 0.5), band.strip.left + 48 + half),
    band.strip.right - 28 - half,
  );
  return toText(x, HEAD_Y, text, 'ink', { size: SMALL, anchor: 'middle' });
}

/** What a width and a line are. @param {Layout} layout @param {Scale} sizes @returns {Shape[]} */
export function toKey(layout, sizes) {
  const [band] = layout.bands;
  const y = layout.height - (layout.isNarrow ? 28 : 10);
  const each = layersPerLine(layout, band);
  const isRoomy = layout.isNarrow || layout.width > ROOMY_PX;
  const left = isRoomy ? band.strip.left : 0;
  const shapes = [toText(left, y, 'size', 'muted', { size: SMALL }), ...toSizeKeys(sizes, left + 30, y)];
  const words = `${layout.isNarrow ? 'lines' : 'thin lines'}: largest mixing ${each === 1 ? 'of each layer' : `over ${each} layers`}, dashed: negative`;
  const last = /** @type {import('./shapes.js').Text} */ (shapes[shapes.length - 1]);
  const [x, down] = layout.isNarrow ? [band.strip.left, 18] : [last.x + widthOf(last.text, SMALL) + 22, 0];
  return [...shapes, toText(x, y + down, words, 'muted', { size: SMALL })];
}

/** Pieces of ribbon, each with the size that it stands for. @param {Scale} sizes @param {number} x @param {number} y @returns {Shape[]} */
function toSizeKeys(sizes, x, y) {
  let at = x;
  return keysOf(sizes).flatMap(({ log10, text }) => {
    const left = at;
    at += KEY_PX + 18 + widthOf(text, SMALL);
    return [
      toLine([left, y, left + KEY_PX, y], 'muted', { width: widthAt(sizes, log10), opacity: 0.7 }),
      toText(left + KEY_PX + 4, y, text, 'muted', { size: SMALL }),
    ];
  });
}
