/** A sample of a run's line style. */

import { html } from '../ui/html.js';

/** Render a sample of a run's line: colour and dash pattern. @param {{style: import('../../types').RunStyle | null | undefined}} props */
export function Swatch({ style }) {
  if (!style) return html`<svg class="swatch" width="30" height="10" aria-hidden="true"></svg>`;
  return html`
    <svg class="swatch" width="30" height="10" aria-hidden="true">
      <line x1="1" x2="29" y1="5" y2="5" stroke=${style.color} stroke-width=${style.width} stroke-dasharray=${dashOf(style)} />
    </svg>
  `;
}

/** Return the dash pattern of a run's style for SVG. @param {import('../../types').RunStyle | null | undefined} style */
export function dashOf(style) {
  return !style || style.dash === 'solid' ? undefined : style.dash.replaceAll('px', '');
}
