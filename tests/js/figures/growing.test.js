import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addFrame, createColumns } from '../../../static/js/data/columns.js';
import { isGrowing, trainSteps } from '../../../static/js/data/record.js';
import { lookUp, toStepNumbers } from '../../../static/js/figures/sources.js';
import { stepNear, stepsOn } from '../../../static/js/figures/steps.js';

const SOURCE = { kind: 'trace', model: { name: 'Ours', parameters: 1 }, versions: {} };

/** Create a growing recording of two layers. */
function begin() {
  const columns = createColumns();
  let index = 0;
  const add = (type, data) => addFrame(columns, { run: 't', index: index++, type, ...data });
  add('start', { layers: 2, streams: 1, source: SOURCE });
  return { columns, add };
}

/** @param {number} step @param {any} values @param {any} [more] */
const observation = (step, values, more = {}) => ({ step, values, log10: {}, status: {}, ...more });

test('a recording is as long as its received steps', () => {
  const { columns, add } = begin();
  assert.deepEqual([trainSteps(columns), isGrowing(columns)], [0, true]);
  for (let step = 0; step < 40; step++) {
    const late = step === 7 ? { step_lr: 0.5 } : {};
    add(
      'step',
      observation(step, { step_loss: step, step_act_rms: [step, -step], ...late }, { iteration: 100 * step }),
    );
    assert.equal(trainSteps(columns), step + 1);
  }
  const count = Array.from({ length: 40 }, (_, step) => step);
  assert.deepEqual(lookUp('steps.step_loss', columns, '', 0), count);
  assert.deepEqual(columns.steps.get('step_act_rms').shape, [40, 2]);
  assert.deepEqual(Array.from(columns.steps.get('step_act_rms').data.slice(-2)), [39, -39]);
  assert.deepEqual(
    lookUp('steps.step_lr', columns, '', 0),
    count.map((step) => (step === 7 ? 0.5 : null)),
  );
  assert.deepEqual(
    toStepNumbers(columns),
    count.map((step) => 100 * step),
  );
  add('end', { status: 'done', reason: null });
  assert.equal(isGrowing(columns), false);
});

test('steps are numbered from 1 unless all have the trainer’s numbers', () => {
  const { columns, add } = begin();
  add('step', observation(0, { step_loss: 1 }, { iteration: 5 }));
  add('step', observation(1, { step_loss: 1 }));
  assert.deepEqual(lookUp('step', columns, '', 0), [1, 2]);
});

test('a position on an axis selects the nearest step, by the numbers on the axis', () => {
  const figure = {
    layout: { meta: { steps: { xaxis: 'line', yaxis2: 'cells' } } },
    data: [
      { x: [1, 2] },
      { x: [0, 100, 200] },
      { x: [0, 1, 2, 3], visible: false },
      { yaxis: 'y2', xaxis: 'x2', y: [0, 40] },
    ],
  };
  assert.deepEqual(stepsOn(figure, 'xaxis'), [0, 100, 200]);
  assert.deepEqual(stepsOn(figure, 'yaxis2'), [0, 40]);
  assert.equal(stepsOn(figure, 'yaxis'), null);
  for (const [wanted, step] of [
    [-9, 0],
    [49, 0],
    [51, 1],
    [999, 2],
  ])
    assert.equal(stepNear([0, 100, 200], wanted), step);
});
