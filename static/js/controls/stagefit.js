/** How large a figure is drawn so that it fills a screen: its letters and lines grow with it. */

import { heightOf } from '../figures/plotbox.js';
import { fillShown } from '../figures/shown.js';
import { toPictureHeight } from '../picture/files.js';
import * as state from '../state/signals.js';

/** @typedef {{width: number, height: number}} Size @typedef {import('../../types').Panel} Panel */

/** Curves are drawn for a screen that is so wide, and magnified from there. */
const DRAWN_PX = 940;
const LARGEST = 3;
const STEP = 0.05;
const LEAST_PX = 180; // of a figure's height

/** The magnification, and the height that a figure is told to take: none where it has its own. @param {Panel | undefined} panel of the picture none @param {Size} room @returns {{magnified: number, height: number | null}} */
export function fitIn(panel, room) {
  const { value: templates } = state.templates;
  if (!panel)
    return { magnified: templates ? largest((width) => toPictureHeight(templates, width), room) : 1, height: null };
  const { figure: template } = state.viewOf(panel);
  if (!template.layout.meta.grid) {
    const magnified = Math.min(LARGEST, Math.max(1, room.width / DRAWN_PX));
    return { magnified, height: Math.max(LEAST_PX, Math.floor(room.height / magnified)) };
  }
  const figure = fillShown(panel, template);
  return { magnified: largest((width) => heightOf(figure, false, width), room), height: null };
}

/** The largest magnification at which it is no higher than the room; 1 where it is higher at any, as on a phone. @param {(width: number) => number} toHeight @param {Size} room */
function largest(toHeight, room) {
  for (let magnified = LARGEST; magnified > 1; magnified -= STEP) {
    if (toHeight(room.width / magnified) * magnified <= room.height) return magnified;
  }
  return 1;
}
