/** Uploads a file and reports progress, which only XMLHttpRequest supports. */

import { API, ApiError } from './api.js';

/** @typedef {{id: string, url: string}} Stored */

/**
 * Upload a recording and store it on the server.
 * @param {Blob} file written by `result.save`
 * @param {(share: number) => void} onProgress called with the sent share, 0 to 1
 * @param {AbortSignal} signal
 * @returns {Promise<Stored>} rejects with `ApiError` if the server refuses the file or is unreachable
 */
export function postTrace(file, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', `${API}/traces`);
    request.setRequestHeader('Content-Type', 'application/octet-stream');
    request.upload.onprogress = ({ loaded, total }) => onProgress(total > 0 ? loaded / total : 0);
    request.onload = () => {
      const answer = parseJson(request.responseText);
      if (request.status < 300 && answer) resolve(answer);
      else reject(new ApiError(request.status, answer ?? {}, null));
    };
    request.onerror = () => reject(new ApiError(0, BROKEN, null));
    signal.addEventListener('abort', () => request.abort());
    request.onabort = () => reject(signal.reason);
    request.send(file);
  });
}

/** A file that changed after it was chosen cannot be read; the browser reports the same error. */
const BROKEN = {
  title: 'The file was not sent',
  detail: 'Check that the server is running and that the file has not changed, then open it again.',
};

/** Parse the text of a response as JSON. @param {string} text @returns {any} null if it is not JSON, as from a proxy */
function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
