/** Shows a panel's numbers as a table, and exports them as CSV. */

import { useState } from 'preact/hooks';
import { formatFixed, formatScaled, formatValue, inclusiveRange, toCsvNumber } from '../data/numbers.js';
import { depthOf, specOf } from '../data/record.js';
import { COMPOSITES } from '../derived/interval.js';
import { columnSums, rowSums } from '../figures/composites.js';
import { ignoresDifference, subtract } from '../figures/difference.js';
import { columnsOf } from '../figures/drawing.js';
import { eigenvaluesPerLayer } from '../figures/eigenvalues.js';
import { findProduct, lawOf, lookUp, THEORY, toFeatureNumber } from '../figures/sources.js';
import { atStep } from '../figures/steps.js';
import * as state from '../state/signals.js';
import { html } from '../ui/html.js';
import { NumbersTable, TableBox } from '../ui/table.js';
import { columnsForInterval, forInterval } from './filling.js';
import { describeInterval, shownStep, toPlaces } from './places.js';

/** @typedef {import('../../types').Panel} Panel @typedef {{label: string, columns: import('../../types').Columns, isOfInterval?: boolean}} Shown `isOfInterval`: composite gains are those of the interval */

/**
 * Build the content of a panel's table; `isRaw` returns numbers instead of formatted text.
 * @param {Panel} panel
 * @param {boolean} isRaw
 * @returns {{head: string[], rows: any[][]}}
 */
export function toTable(panel, isRaw) {
  if (panel.table.length === 0) return tableOfFill(panel, isRaw);
  if (panel.table[0].source === 'steps') return stepTable(panel);
  if (panel.table[0].source === 'read') return readTable(panel, isRaw);
  if (panel.table[0].source === 'features') return featureTable(panel, isRaw);
  const columns = shownSlots(panel).flatMap((slot) =>
    panel.table.flatMap((column) => (column.source === 'streams' ? streamsOf : columnsOfMetric)(slot, column, isRaw)),
  );
  const { first, last } = state.interval.value;
  return joinColumns('layer', columns, inclusiveRange(first, last), (layer) => layer + 1);
}

/** Join columns to a table. @param {string} head of the names @param {{title: string, data: any[]}[]} columns @param {number[]} places in the columns @param {(place: number) => string | number} toName of a row */
const joinColumns = (head, columns, places, toName) => ({
  head: [head, ...columns.map(({ title }) => title)],
  rows: places.map((place) => [toName(place), ...columns.map(({ data }) => data[place] ?? '')]),
});

/**
 * Return the columns of the table: the runs, or in difference mode the differences to the first, and ratios for metrics that span decades.
 * @param {Panel} panel
 * @returns {Shown[]}
 */
function shownSlots(panel) {
  const slots = atCursorStep(panel);
  const [base, ...others] = slots;
  const hasLaws = panel.table.some((column) => column.source === 'law');
  if (!state.isDifference.value || !base || hasLaws) return slots;
  const isTable = panel.table.length > 0; // panels without table columns show mixing matrices
  const keys = isTable ? panel.table.map((column) => column.key) : ['h_res'];
  return others.flatMap(({ label, columns, isOfInterval }) => {
    const difference = { label: `${label} − A`, columns: subtract(columns, base.columns, keys, false), isOfInterval };
    if (!isTable) return [difference];
    const ratios = withoutDifferences(subtract(columns, base.columns, keys, true));
    return [difference, { label: `${label} / A`, columns: ratios, isOfInterval }];
  });
}

/** Return the columns of the runs, at the cursor's training step if the panel follows it. @param {Panel} panel @returns {Shown[]} */
function atCursorStep(panel) {
  const { figure } = state.viewOf(panel);
  const step = shownStep(panel, figure);
  const keys =
    panel.table.length > 0 ? panel.table.map(({ source, key }) => (source === 'law' ? THEORY : key)) : ['h_res'];
  const slots = state.slots.value;
  const columns = slots.map((slot) => atStep(columnsOf(slot, keys), step, figure.layout.meta.rules.steps));
  const recomputed = columnsForInterval(forInterval(figure), columns, step);
  return slots.map(({ label }, run) => ({
    label,
    columns: (recomputed ?? columns)[run],
    isOfInterval: recomputed !== null,
  }));
}

/** Remove metrics without logarithms from columns that are ratios. @param {import('../../types').Columns} columns */
function withoutDifferences(columns) {
  return { ...columns, matrices: new Map(), steps: new Map() };
}

/** Build the table columns of a metric. @param {Shown} slot @param {Panel['table'][number]} column @param {boolean} isRaw */
function columnsOfMetric(slot, column, isRaw) {
  const place = slot.isOfInterval && COMPOSITES.includes(column.key) ? `, ${describeInterval()}` : '';
  const title = `${slot.label}, ${column.title}${place}`;
  const read = (/** @type {string} */ source) =>
    lookUp(`${source}.${column.key}`, slot.columns, slot.label, state.cursor.value);
  if (column.source === 'row') {
    const row = read('row');
    const show = (/** @type {number | null} */ value, /** @type {number} */ layer) =>
      value === null ? missingEntryText(slot.columns, column.key, layer) : formatFixed(value, 3);
    return row ? [{ title, data: isRaw ? row : row.map(show) }] : [];
  }
  const measured = measuredColumns(slot, column, title, read, isRaw);
  if (column.source !== 'law') return measured;
  return lawOf(slot.columns, column.key) && measured.length > 0 ? [...measured, ...lawColumns(title, read, isRaw)] : [];
}

/** Build the columns of the curve; for several seeds the median and the first seed. @param {Shown} slot @param {Panel['table'][number]} column @param {string} title @param {(source: string) => any[] | null} read @param {boolean} isRaw */
function measuredColumns({ columns }, { key }, title, read, isRaw) {
  const hasSeeds = columns.bands.has(key);
  const forms = hasSeeds
    ? [
        { name: `${title}, median of ${specOf(columns)?.seeds} seeds`, form: 'middle.' },
        { name: `${title}, first seed`, form: 'first_seed.' },
      ]
    : [{ name: title, form: '' }];
  return forms.flatMap(({ name, form }) => {
    const data = read(`${form}${isRaw ? 'layers' : 'text'}`);
    if (!data) return [];
    const logs = isRaw ? read(`${form}log10`) : null;
    return [{ title: name, data }, ...(logs ? [{ title: `${name}, log10`, data: logs }] : [])];
  });
}

/** Describe why an entry of a matrix has no number in a table of the layer at the cursor: the status of either layer. @param {import('../../types').Columns} columns @param {string} key @param {number} layer */
function missingEntryText(columns, key, layer) {
  const flags = columns.status.get(key);
  return formatValue(null, null, flags?.get(layer) ?? flags?.get(state.cursor.value));
}

/** Build the table columns of a law: what it predicts. @param {string} title @param {(source: string) => any[] | null} read @param {boolean} isRaw */
function lawColumns(title, read, isRaw) {
  if (!isRaw) return [{ title: `${title}, law`, data: read('law.text') ?? [] }];
  return ['values', 'low', 'high'].flatMap((part) => {
    const name = part === 'values' ? `${title}, law` : `${title}, law, ${part}`;
    const logs = read(`law.${part}_log10`);
    return [
      { title: name, data: read(`law.${part}`) ?? [] },
      ...(logs ? [{ title: `${name}, log10`, data: logs }] : []),
    ];
  });
}

/** Build a table with one row per training step. @param {Panel} panel */
function stepTable(panel) {
  const columns = shownSlots(panel).flatMap((slot) =>
    panel.table.flatMap((column) => {
      const data = lookUp(`steps.${column.key}`, slot.columns, slot.label, 0);
      return data ? [{ title: `${slot.label}, ${column.title}`, data }] : [];
    }),
  );
  const last = Math.max(0, ...columns.map((column) => column.data.length));
  return joinColumns('step', columns, inclusiveRange(0, last - 1), state.nameStep);
}

/** Build a table of what the cursor's layer reads: the embedding, then the outputs of earlier layers. @param {Panel} panel @param {boolean} isRaw */
function readTable(panel, isRaw) {
  const layer = state.cursor.value;
  const show = (/** @type {number | null} */ value) => (isRaw ? (value ?? '') : formatValue(value));
  const columns = shownSlots(panel).flatMap((slot) =>
    panel.table.flatMap((column) => {
      const row = lookUp(`row.${column.key}`, slot.columns, slot.label, layer);
      return row ? [{ title: `${slot.label}, ${column.title}`, data: row.map(show) }] : [];
    }),
  );
  const toName = (/** @type {number} */ source) => (source === 0 ? 'embedding' : `layer ${source}`);
  return joinColumns(`layer ${layer + 1} reads`, columns, inclusiveRange(0, layer), toName);
}

/** Build a table of the features of the cursor's layer that are kept, with one column per stream. @param {Panel} panel @param {boolean} isRaw */
function featureTable(panel, isRaw) {
  const layer = state.cursor.value;
  /** @type {Map<number, Record<number, any>>} rows by feature, cells by column */
  const cells = new Map();
  /** @type {string[]} */
  const titles = [];
  for (const { label, columns } of shownSlots(panel)) {
    for (const { title, key } of panel.table) {
      const stack = columns.matrices.get(key);
      if (!stack || layer >= stack.shape[0]) continue;
      const [, streams, count] = stack.shape;
      for (const stream of inclusiveRange(0, streams - 1)) {
        const from = (layer * streams + stream) * count;
        stack.data.subarray(from, from + count).forEach((value, place) => {
          const feature = toFeatureNumber(place, count, columns.start?.width ?? 0);
          cells.set(feature, { ...cells.get(feature), [titles.length]: toCell(isRaw)(value) });
        });
        titles.push(`${label}, ${title} ${stream + 1}`);
      }
    }
  }
  const rows = [...cells]
    .sort(([one], [other]) => one - other)
    .map(([feature, row]) => [feature, ...titles.map((_, place) => row[place] ?? '')]);
  return { head: [`feature at layer ${layer + 1}`, ...titles], rows };
}

/** Build a table column for each stream. @param {Shown} slot @param {Panel['table'][number]} column @param {boolean} isRaw */
function streamsOf(slot, column, isRaw) {
  const layers = depthOf(slot.columns);
  const data =
    lookUp(`${isRaw ? 'stream_layers' : 'stream_text'}.${column.key}`, slot.columns, slot.label, state.cursor.value) ??
    [];
  return inclusiveRange(0, (data.length + 1) / (layers + 1) - 1).map((stream) => {
    const part = data.slice(stream * (layers + 1), stream * (layers + 1) + layers);
    return { title: `${slot.label}, ${column.title} ${stream + 1}`, data: part };
  });
}

/** Build the table of a panel without columns from what its first trace shows. @param {Panel} panel @param {boolean} isRaw */
function tableOfFill(panel, isRaw) {
  const { x = '', text = '', z } = forInterval(state.viewOf(panel).figure).data[0].meta.fill;
  if (x.startsWith('eigen.')) return eigenvalueTable(panel, x.split('.')[1], isRaw);
  if (text.startsWith('basis_text.')) return basisTable(panel, `basis.${text.split('.')[1]}`, isRaw);
  return matrixTable(panel, z, isRaw);
}

/** Build a table of eigenvalues, one row each. @param {Panel} panel @param {string} span of layers @param {boolean} isRaw */
function eigenvalueTable(panel, span, isRaw) {
  const rows = atCursorStep(panel).flatMap(({ label, columns }) => {
    const product = findProduct(`product.${span}.h_res`, columns, state.cursor.value);
    const values = (product && eigenvaluesPerLayer(product)) ?? [];
    return values.map(([re, im], index) => [
      `${label}, ${index + 1}`,
      ...[re, im, Math.hypot(re, im)].map(toCell(isRaw)),
    ]);
  });
  return { head: ['eigenvalue', 'real part', 'imaginary part', 'size'], rows };
}

/** Build a table of the mixing in another basis: H_pre, then H_res with H_post in front. @param {Panel} panel @param {string} source @param {boolean} isRaw */
function basisTable(panel, source, isRaw) {
  const blocks = atCursorStep(panel).flatMap(({ label, columns }) => {
    /** @type {Float64Array[] | null} */
    const block = lookUp(source, columns, label, state.cursor.value);
    return block ? [{ label, block }] : [];
  });
  const width = Math.max(1, ...blocks.map(({ block }) => block.length));
  const rows = blocks.flatMap(({ label, block }) =>
    block.map((row, index) => [
      index === 0 ? `${label}, H_pre` : `${label}, to ${index}`,
      ...Array.from(row, (value, place) => (index === 0 && place === 0 ? '' : toCell(isRaw)(value))),
      ...new Array(width - row.length).fill(''),
    ]),
  );
  const head = ['row', 'H_post', ...inclusiveRange(1, width - 1).map((n) => `from ${n}`)];
  return { head, rows };
}

/** Return how a number is shown in a cell. @param {boolean} isRaw @returns {(value: number) => number | string} */
const toCell = (isRaw) => (value) => {
  if (!Number.isFinite(value)) return '';
  return isRaw ? value : formatValue(value);
};

/** Build a table of the card's matrices, one row per matrix row, with sums. @param {Panel} panel @param {string} source @param {boolean} isRaw */
function matrixTable(panel, source, isRaw) {
  const view = state.viewOf(panel);
  const parts = (ignoresDifference(view.figure) ? atCursorStep(panel) : shownSlots(panel)).flatMap((slot) => {
    const product =
      findProduct(source, slot.columns, state.cursor.value) ??
      findProduct('product.cursor-cursor.h_res', slot.columns, state.cursor.value);
    return product ? [{ label: slot.label, product }] : [];
  });
  const width = Math.max(0, ...parts.map(({ product }) => product.n));
  const rows = parts.flatMap(({ label, product }) => {
    const show = (/** @type {number} */ scaled) =>
      isRaw
        ? toCsvNumber(scaled, product.exponent)
        : Number.isFinite(scaled)
          ? formatScaled(scaled, product.exponent)
          : formatValue(null, null, product.lost);
    const pad = new Array(width - product.n).fill('');
    const [right, below] = [rowSums(product), columnSums(product)];
    return [
      ...inclusiveRange(0, product.n - 1).map((row) => [
        `${label}, to ${row + 1}`,
        ...Array.from(product.scaled.subarray(row * product.n, (row + 1) * product.n), show),
        ...pad,
        show(right[row]),
      ]),
      [`${label}, column sum`, ...Array.from(below, show), ...pad, ''],
    ];
  });
  return {
    head: [toPlaces(panel, view), ...inclusiveRange(1, width).map((index) => `from ${index}`), 'row sum'],
    rows,
  };
}

/** Store whether a card shows its figure or its table. `tableItem` is the menu item that switches between them; on Escape, `onKeyDown` shows the figure. @param {string} [name] of what is drawn */
export function useTableSwitch(name = 'figure') {
  const [isTable, setIsTable] = useState(false);
  const tableItem = { title: isTable ? `Show the ${name}` : 'Show as table', run: () => setIsTable(!isTable) };
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    const card = /** @type {HTMLElement} */ (event.currentTarget);
    if (!isTable || event.key !== 'Escape' || card.querySelector(':popover-open')) return;
    setIsTable(false);
    /** @type {HTMLElement | null} */ (card.querySelector('.card-tools > button:last-of-type'))?.focus();
  };
  return { isTable, tableItem, onKeyDown };
}

/** Render the table of a panel. @param {{panel: Panel}} props */
export function PanelTable({ panel }) {
  state.dataTick.value;
  const table = toTable(panel, false);
  const ofStep = state.step.value === null ? null : state.nameStep(state.step.value);
  const at = table.head[0] === 'layer' ? state.cursor.value + 1 : table.head[0] === 'step' ? ofStep : null;
  return html`<${TableBox} label=${`${panel.title}, table`}><${NumbersTable} ...${table} at=${at} /><//>`;
}

/** Export the table of a panel as delimited text. @param {Panel} panel @param {string} separator */
export function toDelimited(panel, separator) {
  const { head, rows } = toTable(panel, true);
  const quote = (/** @type {any} */ cell) => {
    const text = String(cell ?? '');
    return /[",\n\t]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [head, ...rows].map((row) => `${row.map(quote).join(separator)}\n`).join('');
}
