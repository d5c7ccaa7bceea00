import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { formatReduced, formatRunGain } from '../../../static/js/data/gain.js';
import { formatFixed, formatRounded, formatScaled, largestMagnitude } from '../../../static/js/data/numbers.js';

test('the largest magnitude ignores values that are not finite', () => {
  assert.equal(largestMagnitude([1, -3, NaN, Infinity, -Infinity, 2]), 3);
  assert.equal(largestMagnitude([NaN]), 0);
});

test('a negative number has a minus sign, and a rounded zero has none', () => {
  assert.deepEqual([formatFixed(-1.499, 2), formatFixed(-0.001, 2), formatFixed(1, 2)], ['−1.50', '0.00', '1.00']);
});

test('numbers beyond the range of a double are written as Python writes them', () => {
  const cases = JSON.parse(readFileSync(new URL('../../scaled_texts.json', import.meta.url), 'utf-8'));
  for (const [scaled, exponent, text] of cases) assert.equal(formatScaled(scaled, exponent), text);
  assert.equal(formatScaled(NaN, 0), 'nan');
});

test('rounded numbers keep their zeros', () => {
  const cases = JSON.parse(readFileSync(new URL('../../rounded_texts.json', import.meta.url), 'utf-8'));
  for (const [value, log10, status, digits, text] of cases)
    assert.equal(formatRounded(value, log10, status ?? undefined, digits), text);
});

test('gains are written as on /families', () => {
  const cases = JSON.parse(readFileSync(new URL('../../gain_texts.json', import.meta.url), 'utf-8'));
  for (const [log10, isExact, text] of cases) assert.equal(formatRunGain(log10, isExact ? 1 : 4), text);
});

test('numbers of presets are the same as in Python', () => {
  const cases = JSON.parse(readFileSync(new URL('../../reduced_texts.json', import.meta.url), 'utf-8'));
  for (const [key, value, log10, status, streams, text] of cases)
    assert.equal(formatReduced(key, { value, log10, status }, streams), text);
});
