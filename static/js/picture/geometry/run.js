/** A run as the picture shows it, from its columns, and the colours of all. No browser here. */

import { toRunStyles } from '../../data/dress.js';
import { formatFactor, gainOf, peakOf } from '../../data/gain.js';
import { modelOf, specOf } from '../../data/record.js';
import { toReading } from './reading.js';

/** @typedef {import('../../../types').Columns} Columns @typedef {import('../../../types').Figure} Figure */

/** Colours that no method has, for signs of weights, and the colour that very wide ribbons turn to. */
const MORE = {
  light: { plus: '#2f7d5b', minus: '#8a3d8f', hot: '#ffc25e' },
  dark: { plus: '#63c29a', minus: '#cf86d6', hot: '#ffe3b0' },
};

/**
 * @param {{columns: Columns, label: string}} place @param {number | null} step
 * @param {{streams?: number, mixed?: Columns}} [more] how many streams there will be, until the run says it; what its mixing is read from, where that is known before its sizes
 * @returns {import('./picture.js').Shown}
 */
export function toShown({ columns, label }, step, { streams, mixed = columns } = {}) {
  const isStep = step !== null && columns.trained > 0;
  return {
    label,
    name: nameWhole(label, columns),
    kind: specOf(columns)?.connection.kind ?? null,
    streams,
    reading: toReading(columns, mixed),
    gain: isStep ? null : gainText(mixed),
    peak: isStep ? null : peakOf(mixed),
    course: isStep ? null : courseOf(columns),
    end: columns.end?.status ?? null,
  };
}

/** Of one stream, which nothing mixes, it is 1. @param {Columns} columns */
function gainText(columns) {
  const gain = gainOf(columns);
  if (gain === null) return null;
  return columns.start?.streams === 1 && gain === 0 ? '1' : formatFactor(gain);
}

/** Gains of the product up to each layer and, backward, from each layer on, log10; null where they are not measured. @param {Columns} columns */
function courseOf({ log10 }) {
  const [forward, backward] = ['composite_gain_fwd', 'composite_gain_bwd'].map((key) => log10.get(key));
  return forward && backward
    ? { forward: /** @type {Float64Array} */ (forward), backward: /** @type {Float64Array} */ (backward) }
    : null;
}

/** A label with the whole name of a model in place of the shortened one. @param {string} label @param {Columns} columns */
function nameWhole(label, columns) {
  const model = modelOf(columns);
  return model && label.includes('…') ? `${label.split(' ')[0]} ${model}` : label;
}

/** Of runs and of the theme, from a figure's template. @param {Figure} figure @param {(string | null)[]} methods @returns {import('./shapes.js').Palette} */
export function toColors({ layout: { paper_bgcolor: card, font, xaxis, meta } }, methods) {
  return {
    ...Object.fromEntries(toRunStyles(methods, meta.theme).map(toColor)),
    ...MORE[/** @type {'light' | 'dark'} */ (meta.theme)],
    card,
    grid: xaxis.gridcolor,
    ink: meta.ink,
    muted: meta.muted,
    font: font.family.includes('Inter') ? font.family : `Inter, ${font.family}`,
  };
}

/** A run that has not begun has the colour of nothing yet: it draws nothing. @param {import('../../../types').RunStyle | null} style @param {number} run */
const toColor = (style, run) => [run, style?.color ?? 'transparent'];
