/** Builds runs of the picture from columns, and their colours. No browser here. */

import { formatFactor, gainOf, peakLayerOf } from '../data/gain.js';
import { inclusiveRange } from '../data/numbers.js';
import { modelOf, specOf } from '../data/record.js';
import { toRunStyles } from '../figures/dress.js';
import { toReading } from './reading.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('../../types').Figure} Figure */

/** Colours of signs of weights, which no method uses, and the colour of very wide ribbons. */
const MORE = {
  light: { plus: '#2f7d5b', minus: '#8a3d8f', hot: '#ffc25e' },
  dark: { plus: '#63c29a', minus: '#cf86d6', hot: '#ffe3b0' },
};

/**
 * Build a run as the picture draws it: names, measured values and gain.
 * @param {{columns: Columns, label: string}} place @param {number | null} step
 * @param {{streams?: number, mixed?: Columns}} [more] expected number of streams before the first frame; columns of the mixing, if derived before the sizes
 * @returns {import('./picture.js').Shown}
 */
export function toShown({ columns, label }, step, { streams, mixed = columns } = {}) {
  const isStep = step !== null && columns.trained > 0;
  return {
    label,
    name: nameInFull(label, columns),
    kind: specOf(columns)?.connection.kind ?? null,
    streams,
    reading: toReading(columns, mixed),
    gain: isStep ? null : gainText(mixed),
    isMedian: mixed.bands.has('composite_gain_fwd'),
    peak: isStep ? null : peakLayerOf(mixed),
    course: isStep ? null : gainsByLayer(columns),
    end: columns.end?.status ?? null,
    edited: new Set(listEdited(specOf(mixed)?.edits ?? [])),
  };
}

/** List the layers whose mixing is edited. @param {import('../../types').Edit[]} edits */
function listEdited(edits) {
  return edits.flatMap(({ what, layers: [first, last] }) => (what === 'branch' ? [] : inclusiveRange(first, last)));
}

/** Compare the gain of an edited run with that without its edits, in words; null without edits, or if both look the same. @param {Columns} columns @param {Columns | null} base the run without edits; null if unknown */
export function compareUnedited(columns, base) {
  /** @type {import('../../types').Edit[]} */
  const edits = specOf(columns)?.edits ?? [];
  const gain = base && gainText(base);
  if (edits.length === 0 || gain === gainText(columns)) return null;
  const noun = edits.every(({ what, do: act }) => what === 'stream' && act === 'zero') ? 'cut' : 'edit';
  const named = `the ${noun}${edits.length === 1 ? '' : 's'}`;
  return gain === null ? `with ${named}` : `×${gain} without ${named}`;
}

/** Format the gain of a run; `1` for one stream, null if unknown. @param {Columns} columns */
function gainText(columns) {
  const gain = gainOf(columns);
  if (gain === null) return null;
  return columns.start?.streams === 1 && gain === 0 ? '1' : formatFactor(gain);
}

/** Return the composite gains: forward of layers 1 to l, backward of layer l to the last; log10, null if not measured. @param {Columns} columns */
function gainsByLayer({ log10 }) {
  const [forward, backward] = ['composite_gain_fwd', 'composite_gain_bwd'].map((key) => log10.get(key));
  return forward && backward
    ? { forward: /** @type {Float64Array} */ (forward), backward: /** @type {Float64Array} */ (backward) }
    : null;
}

/** Return a label with the full name of a model instead of the shortened one. @param {string} label @param {Columns} columns */
function nameInFull(label, columns) {
  const model = modelOf(columns);
  return model && label.includes('…') ? `${label.split(' ')[0]} ${model}` : label;
}

/** Return the colours of runs and theme from a template. @param {Figure} figure @param {(string | null)[]} methods @returns {import('./shapes.js').Palette} */
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

/** Return the colour of a run; transparent without data. @param {import('../../types').RunStyle | null} style @param {number} run */
const toColor = (style, run) => [run, style?.color ?? 'transparent'];
