/** A run as the picture shows it, from its columns, and the colours of all. No browser here. */

import { modelOf } from '../../data/record.js';
import { toRunStyles } from '../../lines/dress.js';
import { toReading } from './reading.js';

/** @typedef {import('../../../types').Columns} Columns @typedef {import('../../../types').Figure} Figure */

/** @param {{columns: Columns, label: string}} place @param {number | null} step @param {number} [streams] how many there will be, until the run says it @returns {import('./picture.js').Shown} */
export function toShown({ columns, label }, step, streams) {
  const isStep = step !== null && columns.trained > 0;
  return {
    label,
    name: nameWhole(label, columns),
    streams,
    reading: toReading(columns),
    gain: isStep ? null : gainOf(columns),
    end: columns.end?.status ?? null,
  };
}

/** A label with the whole name of a model in place of the shortened one. @param {string} label @param {Columns} columns */
function nameWhole(label, columns) {
  const model = modelOf(columns);
  return model && label.includes('…') ? `${label.split(' ')[0]} ${model}` : label;
}

/**
 * How many times larger at most a signal that all streams share comes out of mixing alone, log10; null of one stream, which nothing mixes,
 * and of a stack in which a layer's mixing is not known.
 * @param {Columns} columns
 */
function gainOf(columns) {
  if ((columns.start?.streams ?? 1) < 2) return null;
  const logs = /** @type {Float64Array | undefined} */ (columns.log10.get('composite_gain_fwd'));
  const values = /** @type {Float64Array | undefined} */ (columns.layers.get('composite_gain_fwd'));
  const known = logs?.filter((log10) => !Number.isNaN(log10)) ?? [];
  const isWhole = logs?.every((log10, layer) => !Number.isNaN(log10) || values?.[layer] === 0);
  return isWhole && known.length > 0 ? Math.max(...known) : null;
}

/** Of runs and of the theme, from a figure's template. @param {Figure} figure @param {(string | null)[]} methods @returns {import('./shapes.js').Palette} */
export function toColors({ layout: { paper_bgcolor: card, font, xaxis, meta } }, methods) {
  return {
    ...Object.fromEntries(toRunStyles(methods, meta.theme).map(toColor)),
    card,
    grid: xaxis.gridcolor,
    ink: meta.ink,
    muted: meta.muted,
    font: font.family,
  };
}

/** A run that has not begun has the colour of nothing yet: it draws nothing. @param {import('../../../types').RunStyle | null} style @param {number} run */
const toColor = (style, run) => [run, style?.color ?? 'transparent'];
