/** Copies to the clipboard and shows messages. Copying needs https or localhost, a permission, and support for images. */

import { signal } from '@preact/signals';
import { html } from './html.js';

const SEEN_MS = 5000;

/** The current message: shown for some seconds, and announced to screen readers. */
const message = signal('');
let timer = 0;

/** Show a short message at the edge of the page for a few seconds. @param {string} text */
export function notify(text) {
  message.value = text;
  clearTimeout(timer);
  timer = setTimeout(() => (message.value = ''), SEEN_MS);
}

/** Render the message at the foot of the page, such as that a text was copied. @param {{isOver?: boolean}} props `isOver`: within a dialog, which covers the page's own; default false */
export function Toast({ isOver = false }) {
  return html`<p class=${message.value ? 'toast' : 'sr'} role=${isOver ? 'log' : 'status'} aria-live="polite">${message.value}</p>`;
}

/** Copy a text to the clipboard. @param {string} text @returns {Promise<string>} the message to show */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return 'Copied';
  } catch {
    return 'Select the text and copy it yourself: this browser does not let the page do it';
  }
}

/**
 * Copy an image. The clipboard gets a promise immediately, because Safari refuses to write after waiting for the image.
 * @param {Promise<string>} image a data URL of a PNG
 * @returns {Promise<string>} the message to show
 */
export async function copyImage(image) {
  if (typeof ClipboardItem === 'undefined' || !navigator.clipboard?.write) {
    image.catch(() => {}); // unused
    return 'This browser does not let a page copy images: download the PNG instead';
  }
  try {
    await navigator.clipboard.write([new ClipboardItem({ 'image/png': image.then(toPngBlob) })]);
    return 'Copied as an image';
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    return 'The image was not copied: this page may not write to the clipboard. Download the PNG instead';
  }
}

/** Decode the data URL of a PNG: the page's content policy forbids fetching it. @param {string} url */
function toPngBlob(url) {
  const bytes = Uint8Array.from(atob(url.slice(url.indexOf(',') + 1)), (sign) => sign.charCodeAt(0));
  return new Blob([bytes], { type: 'image/png' });
}
