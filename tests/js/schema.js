/** A small schema in the server's form, for the tests of pure modules. */

import { toFields } from '../../static/js/state/spec.js';

const multi = [{ 'connection.kind': ['hc', 'mhc'] }];

export const schema = {
  properties: {
    depth: { type: 'integer', default: 64, minimum: 1, maximum: 1024, control: 'slider', step: 1, title: 'Depth' },
    seed: { type: 'integer', default: 0, minimum: 0, control: 'number', title: 'Seed' },
    connection: { $ref: '#/$defs/ConnectionSpec', default: {} },
    input: { allOf: [{ $ref: '#/$defs/InputSpec' }] },
    train: { $ref: '#/$defs/TrainSpec' },
    edits: { type: 'array', default: [], control: 'edits', title: 'Edits' },
  },
  $defs: {
    ConnectionSpec: {
      properties: {
        kind: { type: 'string', enum: ['none', 'residual', 'hc', 'mhc'], default: 'mhc', control: 'select' },
        streams: { type: 'integer', default: 4, minimum: 1, maximum: 16, applies: multi },
        dynamic: { type: 'boolean', default: false, applies: multi },
        noise: { type: 'number', default: 0.3, minimum: 0, maximum: 10, applies: multi },
        sinkhorn_iters: { type: 'integer', default: 20, applies: [{ 'connection.kind': ['mhc'] }] },
      },
    },
    InputSpec: {
      properties: {
        kind: { type: 'string', enum: ['text', 'gaussian'], default: 'text' },
        text: { type: 'string', default: 'ours', applies: [{ 'input.kind': ['text'] }] },
      },
    },
    TrainSpec: {
      properties: {
        steps: { type: 'integer', default: 0, minimum: 0, maximum: 0 },
        lr: { type: 'number', default: 0.001, exclusiveMinimum: 0, applies: [{ 'train.steps': '>0' }] },
      },
    },
  },
};

export const fields = toFields(schema);
