/** What figures and picture share: how large letters are, and being dimmed while they show what is no longer wanted. */

const DIM_MS = 150;

/** How much larger than drawn a figure is shown: on a very large screen, letters and lines too. @param {HTMLElement} box */
export const magnificationOf = (box) => Number(getComputedStyle(box).getPropertyValue('--magnified')) || 1;

/** Dims a box that is behind the settings, but not for the moment that new runs take: to paint all figures twice would hold them up. */
export class Dimmer {
  /** @param {HTMLElement} box */
  constructor(box) {
    this.box = box;
    this.isStale = false;
    this.timer = 0;
  }

  /** @param {boolean} isStale */
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
