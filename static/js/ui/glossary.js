/** Shows definitions of terms within sentences. */

import { GLOSSARY } from '../data/glossary.js';
import { joinPercent } from '../data/numbers.js';
import { html } from './html.js';

/** Terms with definitions; other terms are too frequent. */
const EXPLAINED = /\b(doubly stochastic|H_pre|H_res|H_post|streams?|mixing|gain|drift|equal compute)\b/i;

/** Render a sentence with definitions on hover, at the first occurrence of each term. @param {{text: string}} props */
export function Explained({ text }) {
  const seen = new Set();
  return joinPercent(text)
    .split(new RegExp(EXPLAINED, 'gi'))
    .map((part, index) => {
      const meaning = index % 2 === 1 ? meaningOf(part) : '';
      if (!meaning || seen.has(meaning)) return part;
      seen.add(meaning);
      return html`<abbr title=${meaning}>${part}</abbr>`;
    });
}

/** Return the definition of a term. @param {string} word */
const meaningOf = (word) => GLOSSARY[word] ?? GLOSSARY[word.toLowerCase().replace(/s$/, '')];
