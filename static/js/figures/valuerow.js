/** Where the values at the cursor stand: in rows over the plot, where no curve and no grid line is. No browser here. */

/** Of a row, in pixels. */
export const ROW_PX = 18;
const GAP_PX = 4;

/**
 * Rows of words around the cursor, each as long as there is room, in their order; the last one is next to the plot.
 * @param {number[]} widths of the words
 * @param {{x: number, room: number}} place of the cursor, and how wide the figure is
 * @returns {{left: number, row: number}[]} `row` is counted from 0 at the plot upwards
 */
export function placeValues(widths, { x, room }) {
  const rows = breakRows(widths, room);
  return rows.flatMap((row, index) => {
    const length = lengthOf(row);
    let left = Math.max(0, Math.min(x - length / 2, room - length));
    return row.map((width) => {
      const placed = { left, row: rows.length - 1 - index };
      left += width + GAP_PX;
      return placed;
    });
  });
}

/** @param {number[]} widths @param {number} room */
function breakRows(widths, room) {
  /** @type {number[][]} */
  const rows = [];
  for (const width of widths) {
    const last = rows[rows.length - 1];
    if (last && lengthOf([...last, width]) <= room) last.push(width);
    else rows.push([width]);
  }
  return rows;
}

/** @param {number[]} row */
function lengthOf(row) {
  return row.reduce((sum, width) => sum + width, GAP_PX * (row.length - 1));
}
