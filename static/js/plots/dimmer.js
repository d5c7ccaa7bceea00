/** Magnification and dimming, shared by figures and the picture. */

const DIM_MS = 150;

/** Return the magnification of a figure: on very large screens, letters and lines grow too. @param {HTMLElement} box */
export const magnificationOf = (box) => Number(getComputedStyle(box).getPropertyValue('--magnified')) || 1;

/** Dims a box with outdated data after a delay: painting all figures twice would slow down short runs. */
export class Dimmer {
  /** @param {HTMLElement} box */
  constructor(box) {
    this.box = box;
    this.isStale = false;
    this.timer = 0;
  }

  /** Dim the box of a figure after a delay if the figure is outdated, else undim it. @param {boolean} isStale */
  set(isStale) {
    if (isStale === this.isStale) return;
    this.isStale = isStale;
    clearTimeout(this.timer);
    if (isStale) this.timer = setTimeout(() => this.box.classList.add('stale'), DIM_MS);
    else this.box.classList.remove('stale');
  }

  end() {
    clearTimeout(this.timer);
  }
}
