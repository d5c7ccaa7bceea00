/** Sends a file, and tells how far it has come: only the older of the browser's two ways to ask knows that. */

import { API, ApiError } from './api.js';

/** @typedef {{id: string, url: string}} Stored */

/**
 * Store a trace.
 * @param {Blob} file what `result.save` wrote
 * @param {(share: number) => void} onShare from 0 to 1, all of it sent
 * @param {AbortSignal} signal
 * @returns {Promise<Stored>} throws an `ApiError` where the server refuses it or cannot be reached
 */
export function postTrace(file, onShare, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', `${API}/traces`);
    request.setRequestHeader('Content-Type', 'application/octet-stream');
    request.upload.onprogress = ({ loaded, total }) => onShare(total > 0 ? loaded / total : 0);
    request.onload = () => {
      const answer = parse(request.responseText);
      if (request.status < 300 && answer) resolve(answer);
      else reject(new ApiError(request.status, answer ?? {}, null));
    };
    request.onerror = () => reject(new ApiError(0, BROKEN, null));
    signal.addEventListener('abort', () => request.abort());
    request.onabort = () => reject(signal.reason);
    request.send(file);
  });
}

/** A file that has changed since it was chosen cannot be read, which looks the same. */
const BROKEN = {
  title: 'The file was not sent',
  detail: 'Is the server running, and the file still as it was when you chose it? Then open it once more.',
};

/** @param {string} text @returns {any} null where it is no JSON, as from a proxy */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
