/** Accumulates the frames of a run into columns. Counterpart in Python: `mhc_core/record/result.py`. */

import { depthOf, modelOf, trainSteps } from './record.js';

/** @typedef {import('../../types').Columns} Columns @typedef {import('../../types').Frame} Frame */

/** Create empty columns for a run. @returns {Columns} */
export function createColumns() {
  return {
    start: null,
    layers: new Map(),
    log10: new Map(),
    status: new Map(),
    matrices: new Map(),
    steps: new Map(),
    stepsLog10: new Map(),
    stepsStatus: new Map(),
    kept: new Map(),
    keptSteps: [],
    stepInputs: new Map(),
    trained: 0,
    iterations: [],
    bands: new Map(),
    unknown: new Set(),
    progress: null,
    input: {},
    loss: null,
    lossBase: null,
    summary: null,
    story: null,
    end: null,
    last: -1,
    lastStep: -1,
    lacksSteps: false,
    versions: new Map(),
    waits: new Set(),
    hasAtlas: false,
  };
}

/**
 * Add one frame. A frame that was added before, as after a reconnect, is ignored. The frames of training steps may come after those that
 * follow them.
 * @param {Columns} columns
 * @param {Frame} frame
 */
export function addFrame(columns, frame) {
  const place = frame.type === 'step' ? 'lastStep' : 'last';
  if (frame.index <= columns[place]) return;
  if (frame.index > columns.last + 1) columns.lacksSteps = true;
  columns[place] = frame.index;
  columns.last = Math.max(columns.last, frame.index);
  const take = /** @type {Record<string, (columns: Columns, frame: any) => void>} */ (FRAME_HANDLERS)[frame.type];
  if (take) take(columns, frame);
}

/** Handlers of frames by type. */
const FRAME_HANDLERS = {
  /** @param {Columns} columns @param {import('../../types').StartFrame} frame */
  start(columns, frame) {
    columns.start = frame;
  },
  /** @param {Columns} columns @param {import('../../types').ForwardFrame} frame */
  forward(columns, frame) {
    if (frame.layer < 0 && 'step' in frame) resetMeasurements(columns);
    addLayer(columns, frame);
  },
  backward: addLayer,
  /** Add the frame of a training step: its values, and the matrices of kept steps. @param {Columns} columns @param {import('../../types').StepFrame} frame */
  step(columns, { step, iteration, values, log10, status, input, story }) {
    if (story) columns.story = story;
    if (input) columns.stepInputs.set(step, input);
    columns.trained = step + 1;
    if (iteration !== undefined) columns.iterations[step] = iteration;
    const isKept = Object.keys(values).some((key) => KEPT.test(key));
    if (isKept) columns.keptSteps.push(step);
    for (const [key, value] of Object.entries(values)) {
      if (KEPT.test(key)) keepMatrix(columns, key, value);
      else putStep(columns, columns.steps, key, step, value);
      touch(columns, key);
    }
    for (const [key, value] of Object.entries(log10)) putStep(columns, columns.stepsLog10, key, step, value);
    for (const [key, flags] of Object.entries(status)) {
      if (!columns.stepsStatus.has(key)) columns.stepsStatus.set(key, new Map());
      columns.stepsStatus.get(key)?.set(step, typeof flags === 'string' ? flags : toFlagMap(flags));
    }
    if (modelOf(columns) !== null) lengthenAll(columns, columns.trained);
  },
  /** Add one row of the matrix of CKA between layers, which is symmetric. @param {Columns} columns @param {import('../../types').SimilarityFrame} frame */
  similarity(columns, frame) {
    const layers = depthOf(columns);
    const matrix = columns.matrices.get('cka') ?? {
      shape: [layers, layers],
      data: new Float32Array(layers ** 2).fill(NaN),
    };
    columns.matrices.set('cka', matrix);
    frame.cka.forEach((/** @type {number | null} */ value, /** @type {number} */ other) => {
      matrix.data[frame.layer * layers + other] = matrix.data[other * layers + frame.layer] = value ?? NaN;
    });
    for (const [key, flag] of Object.entries(frame.status ?? {})) putStatus(columns, key, frame.layer, flag); // records of earlier versions have no status
    touch(columns, 'cka');
  },
  /** @param {Columns} columns @param {import('../../types').LossFrame} frame */
  loss(columns, frame) {
    columns.loss = frame.values.loss;
    columns.lossBase = frame.values.loss_base ?? null;
  },
  /** Add the mixing of all layers: matrices and per-layer columns. @param {Columns} columns @param {import('../../types').MixingFrame} frame */
  mixing(columns, frame) {
    for (const [key, column] of Object.entries(frame.values)) {
      if (!isPacked(column)) columns.layers.set(key, toNumbers(column));
      else if (STREAMED.test(key)) columns.layers.set(key, toRows(column));
      else columns.matrices.set(key, { shape: column.shape.split(',').map(Number), data: toNumbers(column) });
      touch(columns, key);
    }
    for (const [key, column] of Object.entries(frame.log10)) columns.log10.set(key, toNumbers(column));
    for (const [key, flags] of Object.entries(frame.status)) {
      columns.status.set(key, toFlagMap(flags));
    }
  },
  /** @param {Columns} columns @param {import('../../types').ProgressFrame} frame */
  progress(columns, frame) {
    columns.progress = frame.done;
  },
  /** @param {Columns} columns @param {import('../../types').BandsFrame} frame */
  bands(columns, frame) {
    for (const [key, band] of Object.entries(frame.bands)) {
      columns.bands.set(
        key,
        Object.fromEntries(Object.entries(band).map(([name, column]) => [name, toNumbers(column)])),
      );
      touch(columns, key);
    }
  },
  /** Note that a recording came with an atlas, which the server answers with. @param {Columns} columns */
  atlas(columns) {
    columns.hasAtlas = true;
  },
  /** @param {Columns} columns @param {import('../../types').SummaryFrame} frame */
  summary(columns, frame) {
    columns.summary = frame;
  },
  /** @param {Columns} columns @param {import('../../types').EndFrame} frame */
  end(columns, frame) {
    columns.end = { status: frame.status, reason: frame.reason };
  },
};

/** Metrics recorded at kept steps only: matrices, and columns with one value per stream. */
const KEPT = /^step_(h_(pre|read|post|res)|cka|unfolded|stream_cos|(act|grad)_rms_streams)$/;

/** Metrics of all layers at once with one value per stream. */
const STREAMED = /^kernel_shares$/;

/** Convert a packed array with two axes to rows of numbers. @param {import('../../types').PackedArray} packed @returns {Float64Array[]} */
function toRows(packed) {
  const [rows, width] = packed.shape.split(',').map(Number);
  const data = toNumbers(packed);
  return Array.from({ length: rows }, (_, row) => data.subarray(row * width, (row + 1) * width));
}

/** Append the matrix or column of a kept step. @param {Columns} columns @param {string} key @param {any} value null if the matrix is not finite */
function keepMatrix(columns, key, value) {
  const stack =
    value === null
      ? null
      : { shape: Array.isArray(value) ? [value.length] : value.shape.split(',').map(Number), data: toNumbers(value) };
  columns.kept.set(key, [...(columns.kept.get(key) ?? []), stack]);
}

/** Return the status of layers, such as `overflow`, as a map by layer. @param {Record<string, string>} flags by layer @returns {Map<number, string>} */
function toFlagMap(flags) {
  return new Map(Object.entries(flags).map(([layer, flag]) => [Number(layer), flag]));
}

/** Clear the measurements before training, because the following frames measure the trained stack. @param {Columns} columns */
function resetMeasurements(columns) {
  for (const table of [columns.layers, columns.log10, columns.status, columns.matrices]) table.clear();
  Object.assign(columns, { input: {}, loss: null, lossBase: null });
}

/**
 * Write the value of one training step into its row of a table, which grows if needed.
 * @param {Columns} columns
 * @param {Map<string, import('../../types').Matrix>} table rows are steps
 * @param {string} key
 * @param {number} step
 * @param {any} value a number, or one number per layer
 */
function putStep(columns, table, key, step, value) {
  const row = Array.isArray(value) ? value : [value];
  const shape = [trainSteps(columns), ...(Array.isArray(value) ? [row.length] : [])];
  const current = table.get(key) ?? { shape, data: new Float64Array(shape[0] * row.length).fill(NaN) };
  const matrix = current.shape[0] > step ? current : lengthen(current, step + 1);
  table.set(key, matrix);
  fillWith(/** @type {Float64Array} */ (matrix.data), row, step * row.length);
}

/** Lengthen every column to the steps received so far: the final number of steps of a recording is unknown. @param {Columns} columns @param {number} steps */
function lengthenAll(columns, steps) {
  for (const table of [columns.steps, columns.stepsLog10]) {
    for (const [key, matrix] of table) if (matrix.shape[0] < steps) table.set(key, lengthen(matrix, steps));
  }
}

/** Append rows of NaN. The buffer doubles when it is full, so that appending steps takes linear time. @param {import('../../types').Matrix} matrix @param {number} steps @returns {import('../../types').Matrix} */
function lengthen({ shape: [, ...rest], data }, steps) {
  const size = steps * (rest[0] ?? 1);
  let room = new Float64Array(data.buffer);
  if (room.length < size) {
    room = new Float64Array(2 * size).fill(NaN);
    room.set(data);
  }
  return { shape: [steps, ...rest], data: room.subarray(0, size) };
}

/** Add the values of one layer, or of the input (layer below 0). @param {Columns} columns @param {import('../../types').ForwardFrame | import('../../types').BackwardFrame} frame */
function addLayer(columns, { layer, values, log10, status }) {
  if (layer < 0) {
    Object.assign(columns.input, values);
    return;
  }
  for (const [key, value] of Object.entries(values)) {
    if (isMatrix(key, value)) putMatrix(columns, key, layer, value);
    else putCell(columns, columns.layers, key, layer, value);
    touch(columns, key);
  }
  for (const [key, value] of Object.entries(log10)) putCell(columns, columns.log10, key, layer, value);
  for (const [key, flag] of Object.entries(status)) putStatus(columns, key, layer, flag);
}

/** Write the status of one layer. @param {Columns} columns @param {string} key @param {number} layer @param {string} flag */
function putStatus(columns, key, layer, flag) {
  if (!columns.status.has(key)) columns.status.set(key, new Map());
  columns.status.get(key)?.set(layer, flag);
}

/** Return whether a value is a packed array. @param {import('../../protocol').Value} value @returns {value is import('../../types').PackedArray} */
function isPacked(value) {
  return value !== null && typeof value === 'object' && 'shape' in value;
}

/** Return whether a value is a matrix or one number per stream. @param {string} key @param {any} value */
function isMatrix(key, value) {
  return value !== null && (value.shape !== undefined || /^h_(pre|post|res)(_std)?$/.test(key));
}

/** Write the matrix of one layer. @param {Columns} columns @param {string} key @param {number} layer @param {any} value */
function putMatrix(columns, key, layer, value) {
  const shape = value.shape ? value.shape.split(',').map(Number) : [value.length];
  const item = toNumbers(value);
  let matrix = columns.matrices.get(key);
  if (!matrix) {
    const layers = depthOf(columns);
    matrix = { shape: [layers, ...shape], data: new Float64Array(layers * item.length).fill(NaN) };
    columns.matrices.set(key, matrix);
  }
  matrix.data.set(item, layer * item.length);
}

/**
 * Write the value of one layer into a table of columns.
 * @param {Columns} columns
 * @param {Map<string, any>} table
 * @param {string} key
 * @param {number} layer
 * @param {any} value a number, or one number per stream
 */
function putCell(columns, table, key, layer, value) {
  const layers = depthOf(columns);
  if (!table.has(key)) {
    table.set(key, Array.isArray(value) ? new Array(layers).fill(null) : new Float64Array(layers).fill(NaN));
  }
  table.get(key)[layer] = Array.isArray(value) ? toNumbers(value) : (value ?? NaN);
}

/** Count a change of a column, so that figures which draw it notice it. @param {Columns} columns @param {string} key */
function touch(columns, key) {
  columns.versions.set(key, (columns.versions.get(key) ?? 0) + 1);
}

/** Convert a list or packed array to numbers; null becomes NaN. @param {any} value @returns {Float64Array} */
export function toNumbers(value) {
  if (Array.isArray(value)) return fillWith(new Float64Array(value.length), value);
  const text = atob(value.bdata);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  if (value.dtype === 'f4') return new Float64Array(new Float32Array(bytes.buffer));
  if (value.dtype === 'f8') return new Float64Array(bytes.buffer);
  throw new Error(`typed arrays of ${value.dtype} are not expected here`);
}

/**
 * Write a list into an array; null becomes NaN. `from` with a function takes five times as long, and a training has 30,000 lists.
 * @param {Float64Array} numbers
 * @param {(number | null)[]} list
 * @param {number} [first] place of the first number
 */
function fillWith(numbers, list, first = 0) {
  for (let at = 0; at < list.length; at++) numbers[first + at] = list[at] ?? NaN;
  return numbers;
}
