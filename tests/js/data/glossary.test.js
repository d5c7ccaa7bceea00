import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GLOSSARY } from '../../../static/js/data/glossary.js';

const TERMS = 'stream branch gain mixing H_pre H_res H_post Sinkhorn manifold drift layer run'.split(' ');

test('every term of the page has one definition, in at most 40 words', () => {
  for (const term of [...TERMS, 'doubly stochastic']) assert.ok(GLOSSARY[term], term);
  for (const [term, text] of Object.entries(GLOSSARY)) {
    assert.match(text, /\.$/, term);
    assert.ok(text.split(/\s+/).length <= 40, term);
  }
});
