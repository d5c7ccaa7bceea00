/** Tables of numbers. */

import { html } from './html.js';

/** Render the box in which wide tables scroll. @param {{label: string, children?: any}} props */
export const TableBox = ({ label, children }) =>
  html`<div class="table-box" tabindex="0" role="region" aria-label=${label}>${children}</div>`;

/** Render a table; the first cell of each row is its heading. @param {{caption?: string, head: string[], rows: any[][], at?: any}} props `at`: the heading of the row at the cursor */
export const NumbersTable = ({ caption, head, rows, at = null }) => html`
  <table class="numbers">
    ${caption ? html`<caption>${caption}</caption>` : null}
    <thead><tr>${head.map((text) => html`<th scope="col">${text}</th>`)}</tr></thead>
    <tbody>${rows.map(
      ([first, ...cells]) => html`
      <tr class=${first === at ? 'at-cursor' : ''}><th scope="row">${first}</th>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>`,
    )}</tbody>
  </table>
`;
