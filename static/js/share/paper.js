/** What is known of a PDF before it is made; see pdf.js, which is loaded when one is asked for. */

/** The family that is in the file; figures are laid out in it, for other letters have other widths. */
export const FONT = 'DejaVu Sans';
/** Of a figure of curves: its letters of 12 px then have 9 points on the page. */
export const WIDTH_PX = 672;

/** A font or a tool did not come from the server. */
export class MissingPart extends Error {}
