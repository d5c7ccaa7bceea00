import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GLOSSARY } from '../../../static/js/data/glossary.js';
import { Explained } from '../../../static/js/ui/glossary.js';

const toText = (part) => (typeof part === 'string' ? part : part.props.children);

test('a term is explained once in a sentence, and the text stays the same', () => {
  const text = 'Streams mix: each stream is read (H_pre) and mixed (H_res). Its gain is a gain.';
  const parts = Explained({ text });
  assert.equal(parts.map(toText).join(''), text);
  const explained = parts.filter((part) => typeof part !== 'string');
  assert.deepEqual(explained.map(toText), ['Streams', 'H_pre', 'H_res', 'gain']);
  assert.equal(explained[0].props.title, GLOSSARY.stream);
});
