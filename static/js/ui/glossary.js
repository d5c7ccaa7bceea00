/** Sentences whose terms explain themselves. */

import { GLOSSARY } from '../data/glossary.js';
import { html } from './html.js';

/** Terms that a sentence explains; the others are on every line of the page. */
const EXPLAINED = /\b(doubly stochastic|H_pre|H_res|H_post|streams?|mixing|gain|drift|equal compute)\b/i;

/** A sentence whose terms show their definitions on hover, each at its first place. @param {{text: string}} props */
export function Explained({ text }) {
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
