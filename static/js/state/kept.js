/** Whole records of this visit, the latest last: asked for again, they are here; and what is wanted next may follow from them. */

import { createColumns } from '../data/columns.js';
import { depthOf, specOf } from '../data/record.js';
import { deriveBeginning, deriveColumns } from '../instant/known.js';
import { boot } from './boot.js';
import { fields } from './signals.js';
import { fromSpecs, toSpecs } from './view/spec.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('../instant/known.js').Wanted} Wanted */
/** A spec as what sliders move, and all the rest. @typedef {Wanted & {rest: string}} Moved */

const KEPT_RUNS = 24;

/** @type {Map<string, {columns: Columns, moved: Moved | null}>} */
const kept = new Map();

export const keptIds = () => [...kept.keys()];

/** @param {string} id */
export const recallRecord = (id) => kept.get(id)?.columns;

/** @param {string} id @param {Columns} columns */
export function keepRecord(id, columns) {
  const spec = specOf(columns);
  keep(id, { columns, moved: spec && toMoved(toSpecs(fields.value, fromSpecs(fields.value, [spec]))[0]) });
}

/** @param {string} id @param {{columns: Columns, moved: Moved | null}} item */
function keep(id, item) {
  kept.delete(id);
  kept.set(id, item);
  for (const oldest of [...kept.keys()].slice(0, -KEPT_RUNS)) kept.delete(oldest);
}

/** @param {any} spec with what differs from the default alone @returns {Moved} */
function toMoved({ depth, connection, ...others }) {
  const { noise, sinkhorn_iters, ...joined } = connection;
  const initial = (/** @type {string} */ path) => Number(fields.value.get(path)?.initial);
  return {
    layers: depth ?? initial('depth'),
    noise: noise ?? initial('connection.noise'),
    rounds: sinkhorn_iters ?? initial('connection.sinkhorn_iters'),
    rest: JSON.stringify({ ...others, connection: joined }),
  };
}

/**
 * What is known of a spec without asking: its whole record, or columns that follow from another one, or of a deeper stack than all that
 * are here the first layers. Null where nothing is.
 * @param {any} spec
 * @returns {{id: string, columns: Columns, known: Columns | null} | null}
 */
export function recallSpec(spec) {
  const wanted = toMoved(spec);
  const alike = [...kept].filter(([, { moved }]) => moved?.rest === wanted.rest);
  const isSame = (/** @type {Moved | null} */ moved) => moved?.noise === wanted.noise && moved.rounds === wanted.rounds;
  const exact = alike.find(([, { moved }]) => isSame(moved) && moved?.layers === wanted.layers);
  if (exact) return { id: exact[0], columns: exact[1].columns, known: null };
  // The same mixing first: it tells more.
  const ordered = alike.sort(([, one], [, other]) => Number(isSame(other.moved)) - Number(isSame(one.moved)));
  for (const [id, item] of ordered) {
    const known = deriveColumns(item.columns, wanted, boot.rules.at_once);
    if (known) {
      keep(id, item); // as long as it is of use
      return { id: '', columns: createColumns(), known };
    }
  }
  return recallBeginning(
    wanted,
    ordered.filter(([, { moved }]) => isSame(moved)).map(([, { columns }]) => columns),
  );
}

/** The first layers of a deeper stack than all that are here, of the deepest of them. @param {Wanted} wanted @param {Columns[]} alike */
function recallBeginning(wanted, alike) {
  const deepest = alike.sort((one, other) => depthOf(other) - depthOf(one))[0];
  const begun = deepest && deriveBeginning(deepest, wanted, boot.rules.at_once);
  return begun ? { id: '', columns: begun, known: null } : null;
}
