/** Constants of PDF files for modules that load before pdf.js, which is loaded on first use. */

/** Font family in the file; figures are laid out in it, because text widths depend on the font. */
export const FONT = 'DejaVu Sans';
/** Width of a figure of curves; fonts of 12 px have 9 pt on the page. */
export const WIDTH_PX = 672;

/** Thrown if a font or library did not load from the server. */
export class MissingPart extends Error {}
