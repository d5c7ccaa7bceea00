/** Converts WOFF fonts to TrueType for PDF files: the same tables, decompressed. See the W3C's "WOFF File Format 1.0". No framework here. */

const WOFF = { head: 44, entry: 20 };
const SFNT = { head: 12, entry: 16 };

/** Convert a WOFF font to TrueType. @param {ArrayBuffer} woff @returns {Promise<Uint8Array>} */
export async function toTrueType(woff) {
  const view = new DataView(woff);
  const count = view.getUint16(12);
  const tables = await Promise.all(
    Array.from({ length: count }, (_, table) => readTable(view, WOFF.head + table * WOFF.entry)),
  );
  const start = SFNT.head + count * SFNT.entry;
  const font = new Uint8Array(start + tables.reduce((sum, { body }) => sum + roundUpTo4(body.length), 0));
  const out = new DataView(font.buffer);
  writeTableHead(out, view.getUint32(4), count);
  let offset = start;
  tables.forEach(({ tag, checksum, body }, table) => {
    [tag, checksum, offset, body.length].forEach((word, index) => {
      out.setUint32(SFNT.head + table * SFNT.entry + 4 * index, word);
    });
    font.set(body, offset);
    offset += roundUpTo4(body.length);
  });
  return font;
}

/** Round up to a multiple of 4. @param {number} length */
const roundUpTo4 = (length) => (length + 3) & ~3;

/** Read and decompress a table of a WOFF font. @param {DataView} view @param {number} entry */
async function readTable(view, entry) {
  const [tag, offset, packed, length, checksum] = [0, 4, 8, 12, 16].map((start) => view.getUint32(entry + start));
  const bytes = new Uint8Array(/** @type {ArrayBuffer} */ (view.buffer), offset, packed);
  return { tag, checksum, body: packed < length ? await inflateZlib(bytes) : bytes };
}

/** Decompress zlib data. @param {Uint8Array<ArrayBuffer>} bytes zlib data */
async function inflateZlib(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Write the entry of a table in the directory of a TrueType font. @param {DataView} out @param {number} flavor @param {number} count of tables */
function writeTableHead(out, flavor, count) {
  const power = Math.floor(Math.log2(count));
  out.setUint32(0, flavor);
  [count, 16 * 2 ** power, power, 16 * (count - 2 ** power)].forEach((word, index) => {
    out.setUint16(4 + 2 * index, word);
  });
}
