import assert from 'node:assert/strict';
import { test } from 'node:test';
import { packValue, unpackValue } from '../../../static/js/share/pack.js';

test('packing and unpacking returns equal values, to the last bit', () => {
  const record = {
    layers: new Map([['gain', Float64Array.of(1 / 3, NaN, -Infinity)]]),
    status: new Map([['gain', new Map([[2, 'overflow']])]]),
    streams: [Float64Array.of(1, 2), null],
    matrices: new Map([['cka', { shape: [1, 2], data: Float32Array.of(0.1, 1) }]]),
    waits: new Set(['cka']),
    loss: NaN,
    start: { spec: { text: '</script>', depth: 3 } },
  };
  assert.deepEqual(unpackValue(packValue(record)), record);
});

test('a subarray is packed without the rest of its buffer, and a long array completely', () => {
  const long = Float64Array.from({ length: 70_000 }, (_, index) => index / 7);
  assert.deepEqual(unpackValue(packValue(long.subarray(5, 7))), long.slice(5, 7));
  assert.deepEqual(unpackValue(packValue(long)), long);
});
