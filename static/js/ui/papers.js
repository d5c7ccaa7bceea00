/** Links papers. */

import { html } from './html.js';

/** Render a text with each `arXiv 2512.24880` as a link. @param {string} text */
export function linkPapers(text) {
  return text
    .split(/(arXiv \d{4}\.\d{4,5})/)
    .map((part) =>
      part.startsWith('arXiv ')
        ? html`<a href=${`https://arxiv.org/abs/${part.slice('arXiv '.length)}`} target="_blank" rel="noopener">${part}</a>`
        : part,
    );
}
