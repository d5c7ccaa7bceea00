import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const INSTRUMENT = new URL('../../../static/js/', import.meta.url);
const SERVICE = new URL('../../../mhc_service/static/', import.meta.url);
const OWN_PREFIX = 'mhc-scope/';
const IMPORT = /^import (?:[^'"]*?from )?'([^']+)'/gm;
const LIBRARIES = ['preact', '@preact/signals'];

const importsOf = (folder, path) =>
  [...readFileSync(new URL(path, folder), 'utf8').matchAll(IMPORT)].map((match) => match[1]);

/** Return the file of an import; null for a library. */
function fileOf(target) {
  if (target.startsWith('./')) return new URL(target, SERVICE);
  if (target.startsWith(OWN_PREFIX)) return new URL(target.slice(OWN_PREFIX.length), INSTRUMENT);
  assert.ok(LIBRARIES.includes(target), target);
  return null;
}

test('a module of the service imports its folder, the instrument by the name of the import map, and its libraries', () => {
  const imported = readdirSync(SERVICE).flatMap((path) => importsOf(SERVICE, path));
  assert.ok(imported.filter((target) => target.startsWith(OWN_PREFIX)).length > 5);
  for (const target of imported) {
    const file = fileOf(target);
    assert.ok(file === null || existsSync(file), target);
  }
});

test('the first module makes all additions before the page starts', () => {
  const imported = importsOf(SERVICE, 'index.js');
  assert.equal(imported.at(-1), `${OWN_PREFIX}app.js`);
  const adding = readdirSync(SERVICE).filter((path) =>
    importsOf(SERVICE, path).includes(`${OWN_PREFIX}ui/additions.js`),
  );
  assert.deepEqual(imported.slice(0, -1).sort(), adding.map((path) => `./${path}`).sort());
});
