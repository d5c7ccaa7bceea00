/** Computes the magnification of a presented figure; text and lines grow with it. */

import { heightOf } from '../figures/plotbox.js';
import { fillShown } from '../figures/shown.js';
import { toPictureHeight } from '../picture/files.js';
import * as state from '../state/signals.js';

/** @typedef {{width: number, height: number}} Size @typedef {import('../../types').Panel} Panel */

/** Width at which curves are drawn before magnification. */
const DRAWN_PX = 940;
const LARGEST = 3;
const STEP = 0.05;
const LEAST_PX = 180; // smallest height of a figure

/** Compute magnification and height of a presented figure; null if the figure has its own height. @param {Panel | undefined} panel undefined for the picture @param {Size} room @returns {{magnified: number, height: number | null}} */
export function fitFigure(panel, room) {
  const { value: templates } = state.templates;
  if (!panel)
    return {
      magnified: templates ? largestMagnification((width) => toPictureHeight(templates, width), room) : 1,
      height: null,
    };
  const { figure: template } = state.viewOf(panel);
  if (!template.layout.meta.grid) {
    const magnified = Math.min(LARGEST, Math.max(1, room.width / DRAWN_PX));
    return { magnified, height: Math.max(LEAST_PX, Math.floor(room.height / magnified)) };
  }
  const figure = fillShown(panel, template);
  return { magnified: largestMagnification((width) => heightOf(figure, false, width), room), height: null };
}

/** Find the largest magnification at which a figure fits the height; 1 if none fits, as on a phone. @param {(width: number) => number} toHeight @param {Size} room */
function largestMagnification(toHeight, room) {
  for (let magnified = LARGEST; magnified > 1; magnified -= STEP) {
    if (toHeight(room.width / magnified) * magnified <= room.height) return magnified;
  }
  return 1;
}
