/**
 * Shapes of the picture as data, drawn equally by canvas and SVG. No browser here.
 *
 * @typedef {number | 'ink' | 'muted' | 'card' | 'grid' | 'plus' | 'minus'} Ink a run by its index, or a colour of the theme
 * @typedef {Record<string, string>} Palette CSS colours by ink; `hot` is the colour of very large sizes
 * @typedef {{at: number, heat: number, fade: number}} Stop a position between the left and right end of an area, 0 to 1, and the shares of `hot`
 *   and then of `card` mixed in there
 * @typedef {{kind: 'area', points: number[], color: Ink, opacity: number, heats?: Stop[]}} Area a closed outline: alternating x and y, in px
 * @typedef {{kind: 'line', points: number[], color: Ink, opacity: number, width: number, isDashed: boolean, isCurve: boolean}} Line
 *   alternating x and y; a curve has two ends with two control points between them (cubic Bezier)
 * @typedef {{kind: 'dot', x: number, y: number, radius: number, color: Ink, fill: Ink}} Dot
 * @typedef {{kind: 'box', x: number, y: number, width: number, height: number, radius: number, color: Ink, fill: Ink, opacity: number}} Box
 * @typedef {{kind: 'text', x: number, y: number, text: string, size: number, color: Ink, anchor: 'start' | 'middle' | 'end', isBold: boolean,
 *   hasHalo: boolean, ground?: Ground, title?: string}} Text `y` of its middle; a halo keeps it legible over lines, a ground over areas; `title`
 *   is the full text if it is shortened
 * @typedef {{pad: number, half: number, opacity: number}} Ground a rectangle behind a text, as wide as the text and `pad` on each side
 * @typedef {{kind: 'clip', x: number, y: number, width: number, height: number, shapes: Shape[]}} Clip `shapes` are drawn only inside
 * @typedef {Area | Line | Dot | Box | Text | Clip} Shape
 */

export const DASH = [4, 3];

/** Create an area of the picture. @param {number[]} points @param {Ink} color @param {number} [opacity] default 1 @param {Stop[]} [heats] @returns {Area} */
export function toArea(points, color, opacity = 1, heats = undefined) {
  return heats ? { kind: 'area', points, color, opacity, heats } : { kind: 'area', points, color, opacity };
}

/** Create a line of the picture. @param {number[]} points @param {Ink} color @param {Partial<Line>} [look] @returns {Line} */
export function toLine(points, color, look = {}) {
  return { kind: 'line', points, color, opacity: 1, width: 1, isDashed: false, isCurve: false, ...look };
}

/** Create a text of the picture. @param {number} x @param {number} y @param {string} text @param {Ink} color @param {Partial<Text>} [look] @returns {Text} */
export function toText(x, y, text, color, look = {}) {
  return { kind: 'text', x, y, text, color, size: 12, anchor: 'start', isBold: false, hasHalo: false, ...look };
}

/** Clip shapes to a frame. @param {{left: number, right: number, top: number, bottom: number}} frame @param {Shape[]} shapes @returns {Clip} */
export function toClip({ left, right, top, bottom }, shapes) {
  return { kind: 'clip', x: left, y: top, width: right - left, height: bottom - top, shapes };
}

/** List the corners of a rectangle. @param {number} left @param {number} top @param {number} right @param {number} bottom */
export const toCorners = (left, top, right, bottom) => [left, top, right, top, right, bottom, left, bottom];

/** Return whether shapes, or other plain data, are equal. @param {any} one @param {any} other @returns {boolean} */
export function areEqual(one, other) {
  if (typeof one !== 'object' || typeof other !== 'object' || !one || !other) return Object.is(one, other);
  const keys = Object.keys(one);
  return keys.length === Object.keys(other).length && keys.every((key) => areEqual(one[key], other[key]));
}

/** Return shapes that are moved right and down. @param {Shape[]} shapes @param {number} right in pixels @param {number} down @returns {Shape[]} */
export function moveShapes(shapes, right, down) {
  return shapes.map((shape) => {
    if ('points' in shape)
      return { ...shape, points: shape.points.map((value, index) => value + (index % 2 === 0 ? right : down)) };
    const moved = { ...shape, x: shape.x + right, y: shape.y + down };
    return moved.kind === 'clip' ? { ...moved, shapes: moveShapes(moved.shapes, right, down) } : moved;
  });
}
