/** The clipboard, and what is said of it: it needs https or localhost, a permission, and a browser that knows images. */

import { signal } from '@preact/signals';
import { html } from './html.js';

const SEEN_MS = 5000;

/** What has just been done, for everyone: seen for a while, and read out. */
const message = signal('');
let timer = 0;

/** @param {string} text */
export function notify(text) {
  message.value = text;
  clearTimeout(timer);
  timer = setTimeout(() => (message.value = ''), SEEN_MS);
}

/** @param {{isOver?: boolean}} props of a dialog, which hides the page's own */
export function Toast({ isOver = false }) {
  return html`<p class=${message.value ? 'toast' : 'sr'} role=${isOver ? 'log' : 'status'} aria-live="polite">${message.value}</p>`;
}

/** @param {string} text @returns {Promise<string>} what to tell */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return 'Copied';
  } catch {
    return 'Select the text and copy it by hand: this browser does not let the page do it';
  }
}

/**
 * The clipboard is asked at once, and given a promise: Safari refuses a request that comes after waiting for the image.
 * @param {Promise<string>} image a data URL of a PNG
 * @returns {Promise<string>} what to tell
 */
export async function copyImage(image) {
  if (typeof ClipboardItem === 'undefined' || !navigator.clipboard?.write) {
    image.catch(() => {}); // no one waits for it
    return 'This browser does not let a page copy images: take the PNG instead';
  }
  try {
    await navigator.clipboard.write([new ClipboardItem({ 'image/png': image.then(toBlob) })]);
    return 'Copied as an image';
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    return 'The image could not be copied, for this page may not write to the clipboard: take the PNG instead';
  }
}

/** Decoded here: the page's policy lets nothing be fetched but from its server. @param {string} url */
function toBlob(url) {
  const bytes = Uint8Array.from(atob(url.slice(url.indexOf(',') + 1)), (sign) => sign.charCodeAt(0));
  return new Blob([bytes], { type: 'image/png' });
}
