/** Paper: the page takes its printed form first, then every figure is drawn to fit. */

import { drawAll } from './plotbox.js';

export function followPrint() {
  const { classList } = document.documentElement;
  addEventListener('beforeprint', () => {
    classList.add('printing');
    drawAll();
  });
  addEventListener('afterprint', () => {
    classList.remove('printing');
    drawAll(); // no observer has seen the size change and change back
  });
}
