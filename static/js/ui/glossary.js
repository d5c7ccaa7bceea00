/** The terms of the page: explained on hover in sentences, and listed in Help. */

import { html } from './html.js';

/** @type {Record<string, string>} */
export const GLOSSARY = {
  stream: 'The path of the signal past the layers. A residual network has one, HC and mHC have several.',
  layer: 'A branch with its connection to the streams. A transformer block has two: attention and MLP.',
  branch: 'What a layer computes: attention, an MLP or a convolution.',
  mixing: 'How a layer joins the streams: H_pre, H_res and H_post.',
  H_pre: 'The weights with which a branch reads the streams.',
  H_res: 'The matrix that mixes the streams from one layer to the next.',
  H_post: 'The weights with which the output of a branch is added to the streams.',
  gain: 'How many times larger, at most, the mixing alone makes a signal that all streams share.',
  'doubly stochastic': 'A matrix of weights from 0 to 1 whose rows and columns each sum to 1.',
  manifold: 'Here the set of doubly stochastic matrices, to which mHC constrains H_res.',
  Sinkhorn: 'Dividing a positive matrix by the sums of its columns and rows in turn, until both are 1.',
  drift: 'Size σ of random noise on the parameters of H_res. It stands for what training does to them.',
  run: 'One stack that is computed: its settings, its seed and its numbers.',
};

/** Terms that a sentence explains; the others are on every line of the page. */
const EXPLAINED = /\b(doubly stochastic|H_pre|H_res|H_post|streams?|mixing|gain|drift)\b/i;

/** A sentence whose terms explain themselves on hover, each at its first place. @param {{text: string}} props */
export function Terms({ text }) {
  const seen = new Set();
  return text.split(new RegExp(EXPLAINED, 'gi')).map((part, index) => {
    const meaning = index % 2 === 1 ? meaningOf(part) : '';
    if (!meaning || seen.has(meaning)) return part;
    seen.add(meaning);
    return html`<abbr title=${meaning}>${part}</abbr>`;
  });
}

/** @param {string} word */
const meaningOf = (word) => GLOSSARY[word] ?? GLOSSARY[word.toLowerCase().replace(/s$/, '')];
