/** Runs for tests of the picture, made of frames as a server sends them. */

import { addFrame, createColumns } from '../../../static/js/data/columns.js';

/** Pack a matrix as in frames. @param {number[][]} rows */
export function pack(rows) {
  const data = Float32Array.from(rows.flat());
  return {
    dtype: 'f4',
    bdata: Buffer.from(data.buffer).toString('base64'),
    shape: `${rows.length}, ${rows[0].length}`,
  };
}

/**
 * Create columns of a run: `sizes` has one row per state, the embedding first; `values` returns `mix`, `read` and `write` of a layer.
 * A missing size has no logarithm, as in frames.
 * @param {{sizes: (number | null)[][], gradients?: number[][], layers?: number, blocks?: string[], status?: Record<number, string>,
 *   values?: (layer: number) => Record<string, any>}} run
 */
export function toColumns({
  sizes,
  gradients = [],
  layers = sizes.length - 1,
  blocks = [],
  status = {},
  values = () => ({}),
}) {
  const columns = createColumns();
  let index = 0;
  const add = (type, data) => addFrame(columns, { run: 'r', index: index++, type, ...data });
  add('start', { layers, streams: sizes[0].length, blocks });
  const toLog = (row) => row.map((value) => (value > 0 ? Math.log10(value) : null));
  for (const [state, row] of sizes.entries()) {
    const layer = state - 1;
    const flags = status[layer] ? { act_rms_streams: status[layer] } : {};
    const weights = layer < 0 ? {} : values(layer);
    add('forward', {
      layer,
      values: { act_rms_streams: row, ...weights },
      log10: { act_rms_streams: toLog(row) },
      status: flags,
    });
  }
  for (const [state, row] of [...gradients.entries()].reverse()) {
    add('backward', {
      layer: state - 1,
      values: { grad_rms_streams: row },
      log10: { grad_rms_streams: toLog(row) },
      status: {},
    });
  }
  return columns;
}

/** Create a run of two streams that no layer changes. @param {number} layers @param {(layer: number) => Record<string, any>} [values] */
export function toEvenColumns(layers, values) {
  return toColumns({ sizes: Array.from({ length: layers + 1 }, () => [1, 1]), values });
}
