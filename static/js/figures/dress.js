/** Styles the traces of a template by run. Counterpart with the reasons: `mhc_core/figures/dress.py`. */

/** @typedef {import('../../types').Figure} Figure @typedef {import('../../types').RunStyle} RunStyle @typedef {import('../../types').Trace} Trace */

const ALPHA = 0.13;

/**
 * Copy a figure, also its lists. Figures are plain data; `structuredClone` writes and reads them as bytes, which takes longer.
 * @template T @param {T} part @returns {T}
 */
export function copyFigure(part) {
  if (Array.isArray(part)) return /** @type {any} */ (part.map(copyFigure));
  if (part === null || typeof part !== 'object') return part;
  /** @type {Record<string, any>} */
  const copy = {};
  for (const key in part) copy[key] = copyFigure(part[key]);
  return /** @type {any} */ (copy);
}

/** Styles of methods; the server sends them with the page. @type {import('../../types').ViewRules['methods']} */
export const looks = {};

/** Choose the styles of compared runs; null for a run whose method is unknown. @param {(string | null)[]} methods @param {'light' | 'dark'} theme @returns {(RunStyle | null)[]} */
export function toRunStyles(methods, theme) {
  return methods.map((method, run) => {
    const look = method === null ? undefined : looks[method];
    if (!look) return null;
    const index = methods.slice(0, run).filter((other) => other === method).length;
    return { color: look[theme][index], dash: look.dashes[index], marker: look.marker, width: look.widths[index] };
  });
}

/** Style the traces of runs of these methods, in place. @param {Figure} figure @param {(string | null)[]} methods */
export function styleTraces({ data, layout: { meta } }, methods) {
  const styles = toRunStyles(methods, meta.theme);
  if (meta.axes) reorderByInk(data, styles);
  for (const trace of data) {
    const style = styles[trace.meta.run];
    if (style && trace.meta.look) styleTrace(trace, style, trace.meta.look);
  }
  if (meta.colors)
    meta.colors = styles.slice(0, meta.colors.length).map((style, run) => style?.color ?? meta.colors[run]);
}

/** Compute the inked share of a dash pattern: 1 for a solid line. @param {string} dash */
export function inkedFraction(dash) {
  if (dash === 'solid') return 1;
  const lengths = dash.split(',').map(Number.parseFloat);
  const sum = (/** @type {number[]} */ parts) => parts.reduce((total, part) => total + part, 0);
  return sum(lengths.filter((_, index) => index % 2 === 0)) / sum(lengths);
}

/** Draw the lines with the largest gaps on top, so that all lines stay visible. @param {Trace[]} data @param {(RunStyle | null)[]} styles */
function reorderByInk(data, styles) {
  const shares = styles.map((style) => (style ? inkedFraction(style.dash) : 1));
  const order = shares.map((_, run) => run).sort((a, b) => shares[a] - shares[b]);
  for (const trace of data) trace.meta.run = order[trace.meta.run] ?? trace.meta.run;
}

/** Give a Plotly trace the colour, dash pattern, width and fill of its run. @param {Trace} trace @param {RunStyle} style @param {NonNullable<Trace['meta']['look']>} look */
function styleTrace(trace, style, look) {
  trace.line.color = style.color;
  if (look.dash) trace.line.dash = style.dash;
  if (look.weight) trace.line.width = look.weight * style.width;
  if (look.fill) {
    const [red, green, blue] = [1, 3, 5].map((at) => Number.parseInt(style.color.slice(at, at + 2), 16));
    trace.fillcolor = `rgba(${red},${green},${blue},${ALPHA})`;
  }
}
