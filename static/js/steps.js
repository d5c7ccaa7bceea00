/** A run as it was at a step of training, as far as its frames tell. `app/panels/steps.py` says the same. */

/** @typedef {import('../types').Columns} Columns @typedef {import('../types').Matrix} Matrix */

/** What figures show of the trained stack, and what a step's frame has in its place. @type {[string, string][]} */
const COLUMNS = [
  ['act_rms', 'step_act_rms'], ['grad_rms', 'step_grad_rms'],
  ['composite_gain_fwd', 'step_gain_fwd'], ['composite_gain_bwd', 'step_gain_bwd'],
];
/** @type {[string, string][]} */
const MATRICES = [['h_res', 'step_h_res'], ['cka', 'step_cka']];
/** Of the trained stack alone. */
const UNKNOWN = /^(composite_gain_(fwd|bwd)_token|ds_error|(act|grad)_rms_streams)/;

/** Whether a figure shows matrices, which are known at kept steps alone. @param {import('../types').Figure} template */
export function showsKept(template) {
  return template.data.some((trace) => MATRICES.some(([key]) => key === trace.meta.key));
}

/**
 * Of the steps at which matrices are kept the one next to a step; of two the earlier. Null where none are kept.
 * @param {Columns} columns
 * @param {number} step from 0
 * @returns {number | null} its place among them
 */
export function nearestKept({ keptSteps }, step) {
  let best = null;
  for (const [place, kept] of keptSteps.entries()) {
    if (best === null || Math.abs(kept - step) < Math.abs(keptSteps[best] - step)) best = place;
  }
  return best;
}

/**
 * The columns with gains and sizes at a step, and matrices at the nearest step at which they are kept: as the step began, before
 * its update, on its batch. What the step's frame lacks is `unknown`: runs of numerics 1 tell of gains and mixing alone. A run that does not train stays as it is, and so does any at no step; one that has not come so far gives
 * its last step.
 * @param {Columns} columns
 * @param {number | null} step from 0
 * @returns {Columns}
 */
export function atStep(columns, step) {
  if (step === null || columns.trained === 0) return columns;
  const row = Math.min(step, columns.trained - 1);
  const found = { ...columns, unknown: new Set(columns.unknown) };
  for (const name of /** @type {const} */ (['layers', 'log10', 'status', 'matrices', 'bands', 'versions'])) {
    Object.assign(found, { [name]: new Map(/** @type {Map<string, any>} */ (columns[name])) });
  }
  for (const table of [found.layers, found.log10, found.status]) {
    for (const key of table.keys()) if (UNKNOWN.test(key)) table.delete(key);
  }
  for (const [key, source] of COLUMNS) {
    for (const table of [found.layers, found.log10, found.status, found.bands]) table.delete(key);
    if (columns.steps.has(source)) {
      putRow(found.layers, key, columns.steps.get(source), row);
      putRow(found.log10, key, columns.stepsLog10.get(source), row);
      putStatus(found, key, columns.stepsStatus.get(source)?.get(row));
    } else found.unknown.add(key);
    found.versions.set(key, columns.versions.get(source) ?? 0);
  }
  const place = nearestKept(columns, row);
  for (const [key, source] of MATRICES) {
    const kept = place === null ? null : columns.kept.get(source)?.[place];
    for (const table of [found.matrices, found.status]) table.delete(key);
    if (place !== null) putStatus(found, key, columns.stepsStatus.get(source)?.get(columns.keptSteps[place]));
    if (kept) found.matrices.set(key, kept);
    else found.unknown.add(key);
    if (kept && key === 'h_res') found.layers.set('ds_error', toDeviations(kept));
    found.versions.set(key, columns.versions.get(source) ?? 0);
  }
  return found;
}

/** @param {Columns} columns @param {string} key @param {string | Map<number, string> | undefined} flags of a step, by layer */
function putStatus(columns, key, flags) {
  if (flags instanceof Map) columns.status.set(key, flags);
}

/** How far each matrix is from doubly stochastic. @param {Matrix} stack */
function toDeviations({ shape: [layers, n], data }) {
  return Float64Array.from({ length: layers }, (_, layer) => {
    const item = data.subarray(layer * n * n, (layer + 1) * n * n);
    let worst = -Math.min(...item);
    for (let i = 0; i < n; i++) {
      let [row, column] = [0, 0];
      for (let j = 0; j < n; j++) [row, column] = [row + item[i * n + j], column + item[j * n + i]];
      worst = Math.max(worst, Math.abs(row - 1), Math.abs(column - 1));
    }
    return worst;
  });
}

/** @param {Map<string, any>} table @param {string} key @param {Matrix | undefined} matrix rows are steps @param {number} row */
function putRow(table, key, matrix, row) {
  if (!matrix) return;
  const width = matrix.shape[1];
  table.set(key, matrix.data.slice(row * width, (row + 1) * width));
}
