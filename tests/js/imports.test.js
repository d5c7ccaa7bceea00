import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const FOLDER = new URL('../../static/js/', import.meta.url);

/** Folders by rank, from computation to display. A folder imports only folders of a lower rank; app.js and embed.js import all. */
const RANKS = [
  ['data', 'net'],
  ['figures', 'derived/maps'],
  ['derived'],
  ['state'],
  ['ui'],
  ['plots'],
  ['share'],
  ['cards', 'sweep', 'picture'],
  ['edits'],
  ['controls'],
  [''],
];
const folderOf = (path) => path.split('/').slice(0, -1).join('/');
const rank = (path) => RANKS.findIndex((folders) => folders.includes(folderOf(path)));

/** `import … from 'x'`, `export … from 'x'`, and `import 'x'` or `import('x')`, which import no names. */
const COMMENT = /\/\*.*?\*\//gs;
const IMPORT = /^(?:import|export)[^'"]*?from '([^']+)'|\bimport ?\(?'([^']+)'/gm;

const modules = new Map(
  readdirSync(FOLDER, { recursive: true })
    .filter((path) => path.endsWith('.js'))
    .map((path) => {
      const text = readFileSync(new URL(path, FOLDER), 'utf8');
      const imports = [...text.replace(COMMENT, '').matchAll(IMPORT)].map((match) => match[1] ?? match[2]);
      return [path, { text, imports }];
    }),
);
const isOurs = (path) => path.startsWith('.');
const ours = (path) =>
  modules
    .get(path)
    .imports.filter(isOurs)
    .map((target) => new URL(target, new URL(path, FOLDER)).href.slice(FOLDER.href.length));

test('every folder has a rank', () => {
  for (const path of modules.keys()) assert.ok(rank(path) >= 0, path);
});

test('a folder imports folders of a lower rank only', () => {
  for (const path of modules.keys()) {
    for (const other of ours(path)) {
      assert.ok(folderOf(other) === folderOf(path) || rank(other) < rank(path), `${path} imports ${other}`);
    }
  }
});

test('no import goes in a circle', () => {
  const done = new Set();
  const visit = (name, path) => {
    assert.ok(!path.includes(name), [...path, name].join(' -> '));
    if (done.has(name)) return;
    for (const other of ours(name)) visit(other, [...path, name]);
    done.add(name);
  };
  for (const name of modules.keys()) visit(name, []);
});

/** Whether a module computes alone: those of four folders, and all that are marked. */
const isPure = (path) =>
  ['data', 'figures', 'derived', 'derived/maps'].includes(folderOf(path)) ||
  modules.get(path).text.includes('No browser here.');

test('modules that compute alone import only such modules, and names of requests', () => {
  for (const path of modules.keys()) {
    if (isPure(path))
      for (const other of ours(path)) assert.ok(isPure(other) || folderOf(other) === 'net', `${path} imports ${other}`);
  }
});

test('data, filling of figures, and modules marked as pure, touch neither browser nor framework', () => {
  for (const [path, { text, imports }] of modules) {
    if (!isPure(path)) continue;
    assert.deepEqual(
      imports.filter((target) => !isOurs(target)),
      [],
      path,
    );
    assert.doesNotMatch(text, /\b(document|window|location|localStorage|fetch)\b[.(]/, path);
  }
});

test('one module touches Plotly', () => {
  const users = [...modules].filter(([, { text }]) => /\bPlotly\./.test(text)).map(([name]) => name);
  assert.deepEqual(users, ['plots/plot.js']);
});

test('everything third-party is in the import map', () => {
  const known = ['preact', 'preact/hooks', 'htm', '@preact/signals', 'eventsource-parser', 'jspdf', 'svg2pdf.js'];
  for (const [name, { imports }] of modules) {
    for (const path of imports.filter((target) => !isOurs(target))) assert.ok(known.includes(path), `${name}: ${path}`);
  }
});
