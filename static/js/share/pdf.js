/** Creates PDF files of figures for papers: vector graphics, embedded fonts, a caption below. The libraries are loaded on first use. */

import { toBinary } from './pack.js';
import { FONT, MissingPart } from './paper.js';
import { toTrueType } from './woff.js';

/** @typedef {import('./caption.js').Caption} Caption */

const WIDTH_PT = 504; // of the page: text width of a paper with margins
const PAD = 9;
const TITLE = { size: 10.5, height: 26 };
const CAPTION = { size: 7.5, line: 1.4 };
const MISSING = '□';
const MISSING_NOTE = 'A box replaces a character that the font of this file lacks.';
const DEFAULT_PX = 12; // font size
const INK = '#1b1c1f';
const LINK = '#0b5cad';
const WEIGHTS = /** @type {const} */ ({ normal: 'dejavu-sans/400.woff', bold: 'dejavu-sans/700.woff' });

/** Fonts that are loading or loaded. @type {Promise<Record<string, Uint8Array>> | undefined} */
let fontsLoading;

/** Load the fonts, and register them on the page, so that figures are laid out in them. */
export function loadFonts() {
  fontsLoading ??= readFonts();
  fontsLoading.catch(() => (fontsLoading = undefined)); // the next call retries
  return fontsLoading;
}

/** Fetch the fonts of each weight, converted to TrueType, and register them on the page. */
async function readFonts() {
  const entries = Object.entries(WEIGHTS).map(async ([weight, name]) => {
    const font = await toTrueType(await fetchFont(import.meta.resolve(name)));
    document.fonts.add(await new FontFace(FONT, /** @type {ArrayBuffer} */ (font.buffer), { weight }).load());
    return [weight, font];
  });
  return Object.fromEntries(await Promise.all(entries));
}

/** Fetch a font file, to be embedded in a PDF. @param {string} url */
async function fetchFont(url) {
  const answer = await fetch(url).catch(throwMissing);
  if (!answer.ok) throw new MissingPart(`${url}: ${answer.status}`);
  return answer.arrayBuffer();
}

/** Throw a network error as `MissingPart`. @param {Error} error @returns {never} */
function throwMissing(error) {
  throw new MissingPart(error.message);
}

/** Load the libraries that create PDF files. Both are built for pages without modules and set globals; the second needs the first. */
async function loadPdfLibraries() {
  await import('jspdf').catch(throwMissing);
  await import('svg2pdf.js').catch(throwMissing);
  const { jspdf, svg2pdf } = /** @type {any} */ (globalThis);
  return { jsPDF: jspdf.jsPDF, svg2pdf: svg2pdf.svg2pdf };
}

/**
 * Create a PDF file of a figure's SVG, with its caption.
 * @param {string} svg markup of the figure, laid out in `FONT`
 * @param {{width: number, height: number}} size in pixels
 * @param {Caption} caption
 * @returns {Promise<Blob>}
 */
export async function toPdf(svg, size, caption) {
  const [{ jsPDF, svg2pdf }, fonts] = await Promise.all([loadPdfLibraries(), loadFonts()]);
  const width = WIDTH_PT - 2 * PAD;
  const height = (size.height * width) / size.width;
  const ruler = new jsPDF({ unit: 'pt' }); // for measuring the caption
  addFonts(ruler, fonts);
  const figure = adaptForSvg2pdf(svg);
  const [drawable, isComplete] = keepDrawable(ruler, figure, caption);
  const lines = toLines(
    ruler,
    isComplete ? drawable : { ...drawable, text: `${drawable.text} ${MISSING_NOTE}` },
    width,
  );
  const pageHeight = TITLE.height + height + (lines.length + 1) * CAPTION.size * CAPTION.line + PAD;
  const pdf = new jsPDF({
    unit: 'pt',
    format: [WIDTH_PT, pageHeight],
    orientation: WIDTH_PT > pageHeight ? 'landscape' : 'portrait',
    putOnlyUsedFonts: true,
    compress: true,
  });
  addFonts(pdf, fonts);
  pdf.setProperties({ title: caption.title, subject: `${caption.text} ${caption.url}`, creator: 'mHC Scope' });
  pdf.setLanguage('en');
  writeText(pdf, drawable.title, PAD, PAD + TITLE.size, { size: TITLE.size, style: 'bold', color: INK });
  pdf.setFont(FONT, 'normal'); // default font of the figure
  await svg2pdf(figure, pdf, { x: PAD, y: TITLE.height, width, height });
  writeLines(pdf, lines, caption.url, TITLE.height + height);
  return pdf.output('blob');
}

/** Embed the fonts in a PDF file. @param {any} pdf @param {Record<string, Uint8Array>} fonts */
function addFonts(pdf, fonts) {
  for (const [style, bytes] of Object.entries(fonts)) {
    const file = `${FONT}-${style}.ttf`;
    pdf.addFileToVFS(file, toBinary(bytes));
    pdf.addFont(file, FONT, style);
  }
  pdf.setFont(FONT, 'normal');
}

/** Replace characters that the font lacks, such as Chinese ones, by a box: the library would omit them. @param {any} pdf @param {Element} figure @param {Caption} caption @returns {[Caption, boolean]} the caption, and whether nothing is missing */
function keepDrawable(pdf, figure, caption) {
  const { metadata } = pdf.getFont();
  let isComplete = true;
  const replaceMissing = (/** @type {string} */ text) =>
    text.replaceAll(/\S/gu, (sign) => {
      if (metadata.characterToGlyph(sign.codePointAt(0)) > 0) return sign;
      isComplete = false;
      return MISSING;
    });
  const walker = document.createTreeWalker(figure, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) walker.currentNode.nodeValue = replaceMissing(walker.currentNode.nodeValue ?? '');
  return [{ ...caption, title: replaceMissing(caption.title), text: replaceMissing(caption.text) }, isComplete];
}

/** Wrap the caption into lines, with lines of the link marked. @param {any} pdf @param {Caption} caption @param {number} width @returns {{text: string, isLink: boolean}[]} */
function toLines(pdf, { text, url }, width) {
  pdf.setFontSize(CAPTION.size);
  const splitLines = (/** @type {string} */ words, /** @type {boolean} */ isLink) =>
    pdf.splitTextToSize(words, width).map((/** @type {string} */ line) => ({ text: line, isLink }));
  return [...splitLines(text, false), ...(url ? splitLines(url, true) : [])];
}

/** Write the lines of the caption into a PDF file. @param {any} pdf @param {{text: string, isLink: boolean}[]} lines @param {string} url @param {number} top */
function writeLines(pdf, lines, url, top) {
  lines.forEach(({ text, isLink }, line) => {
    const y = top + (line + 1) * CAPTION.size * CAPTION.line;
    writeText(pdf, text, PAD, y, { size: CAPTION.size, style: 'normal', color: isLink ? LINK : INK });
    if (isLink) pdf.link(PAD, y - CAPTION.size, pdf.getTextWidth(text), CAPTION.size * CAPTION.line, { url });
  });
}

/** Write a text of a figure into a PDF file. @param {any} pdf @param {string} text @param {number} x @param {number} y @param {{size: number, style: string, color: string}} look */
function writeText(pdf, text, x, y, { size, style, color }) {
  pdf.setFont(FONT, style);
  pdf.setFontSize(size);
  pdf.setTextColor(color);
  pdf.text(text, x, y);
}

/** Replace attributes that svg2pdf does not support. @param {string} svg */
function adaptForSvg2pdf(svg) {
  const root = new DOMParser().parseFromString(svg, 'image/svg+xml').documentElement;
  for (const text of root.querySelectorAll('[dominant-baseline]'))
    text.setAttribute('alignment-baseline', /** @type {string} */ (text.getAttribute('dominant-baseline')));
  for (const text of root.querySelectorAll('[paint-order]')) text.removeAttribute('stroke'); // svg2pdf would paint the stroke over the letters
  for (const part of /** @type {NodeListOf<SVGElement>} */ (root.querySelectorAll('tspan'))) setPixels(part);
  return root;
}

/** Convert size and shift of superscripts to px: the size is in percent of the parent, the shift in em. @param {SVGElement} part */
function setPixels(part) {
  const size = fontSizeOf(part);
  if (part.style.fontSize.endsWith('%')) part.style.setProperty('font-size', `${size}px`);
  const shift = part.getAttribute('dy');
  if (shift?.endsWith('em')) part.setAttribute('dy', String(Number.parseFloat(shift) * size));
}

/** Compute the font size of an SVG element in px. @param {SVGElement} part @returns {number} in px */
function fontSizeOf(part) {
  const own = part.style.fontSize || part.getAttribute('font-size') || '';
  if (own.endsWith('px')) return Number.parseFloat(own);
  const around = part.parentElement ? fontSizeOf(/** @type {any} */ (part.parentElement)) : DEFAULT_PX;
  return own.endsWith('%') ? (around * Number.parseFloat(own)) / 100 : around;
}
