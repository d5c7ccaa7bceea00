/** Derives columns for `tests/app/pages/test_derived.py`: reads a pair of records per line from stdin, writes a result per line to stdout. */

import { createInterface } from 'node:readline';
import { addFrame, createColumns } from '../../static/js/data/columns.js';
import { depthOf, specOf } from '../../static/js/data/record.js';
import { findDifferences } from '../../static/js/derived/agree.js';
import { deriveBeginning, deriveColumns } from '../../static/js/derived/derive.js';
import { copyFirstLayers } from '../../static/js/derived/prefix.js';
import { viewRules } from './sent.js';

function toColumns(frames) {
  const columns = createColumns();
  for (const frame of frames) addFrame(columns, frame);
  return columns;
}

/** Compare the derived first layers of a deeper stack with its record. */
function describeBeginning(begun, computed, layers) {
  const keys = [...begun.layers.keys(), ...begun.matrices.keys()];
  const [one, other] = [begun, computed].map((columns) => {
    const beginning = createColumns();
    copyFirstLayers(beginning, columns, layers, keys);
    return beginning;
  });
  const isKnown = begun.layers.get('act_rms').map((value) => Number(Number.isFinite(value)));
  return {
    keys,
    waits: [],
    differences: findDifferences(one, other, viewRules.derivation),
    begun: Array.from(isKnown),
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  const [base, computed] = JSON.parse(line).map(toColumns);
  const { noise = NaN, sinkhorn_iters = NaN } = specOf(computed).connection;
  const wanted = { layers: depthOf(computed), noise, rounds: sinkhorn_iters, edits: specOf(computed).edits ?? [] };
  const known = deriveColumns(base, wanted, viewRules.derivation);
  const begun = known ? null : deriveBeginning(base, wanted, viewRules.derivation);
  const answer = begun
    ? describeBeginning(begun, computed, depthOf(base))
    : known && {
        keys: [...known.layers.keys(), ...known.matrices.keys()],
        waits: [...known.waits],
        differences: findDifferences(known, computed, viewRules.derivation),
      };
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
