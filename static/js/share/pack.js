/** Serialises records to JSON and back, including maps, sets, typed arrays, NaN and infinities. */

const BLOCK = 0x8000; // safe number of arguments of one call
const ARRAYS = { f4: Float32Array, f8: Float64Array };

/** Serialise a value with arrays as JSON. @param {unknown} value @returns {string} JSON */
export function packValue(value) {
  return JSON.stringify(value, (_, item) => toPlainJson(item));
}

/** Parse a value that `packValue` has serialised. @param {string} text written by `packValue` @returns {any} */
export function unpackValue(text) {
  return JSON.parse(text, (_, item) => fromPlainJson(item));
}

/** Convert an item with arrays to plain JSON; `fromPlainJson` reverses it. @param {unknown} item */
function toPlainJson(item) {
  if (item instanceof Map) return { $: 'map', data: [...item] };
  if (item instanceof Set) return { $: 'set', data: [...item] };
  if (item instanceof Float32Array) return { $: 'f4', data: toBase64(item) };
  if (item instanceof Float64Array) return { $: 'f8', data: toBase64(item) };
  if (typeof item === 'number' && !Number.isFinite(item)) return { $: 'number', data: String(item) };
  return item;
}

/** Convert an item of plain JSON back to one with arrays. @param {any} item */
function fromPlainJson(item) {
  if (item === null || typeof item !== 'object' || !('$' in item)) return item;
  const { $: kind, data } = item;
  if (kind === 'map') return new Map(data);
  if (kind === 'set') return new Set(data);
  if (kind === 'number') return Number(data);
  const bytes = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
  return new ARRAYS[/** @type {keyof typeof ARRAYS} */ (kind)](bytes.buffer);
}

/** Encode a typed array as base64. @param {Float32Array | Float64Array | Uint8Array} array */
export function toBase64({ buffer, byteOffset, byteLength }) {
  return btoa(toBinary(new Uint8Array(buffer, byteOffset, byteLength)));
}

/** Convert bytes to a string with one character per byte. @param {Uint8Array} bytes */
export function toBinary(bytes) {
  let text = '';
  for (let at = 0; at < bytes.length; at += BLOCK) text += String.fromCharCode(...bytes.subarray(at, at + BLOCK));
  return text;
}
