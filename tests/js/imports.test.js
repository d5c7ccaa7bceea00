import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';

const FOLDER = new URL('../../static/js/', import.meta.url);

/** From what knows nothing of the page to what draws it. A module imports its own rank or a lower one. */
const RANKS = [
  ['numbers', 'scales', 'mapdata', 'composites', 'steps', 'sources', 'sums', 'labels', 'ink', 'outermost', 'fill', 'columns', 'drawing', 'pace', 'spec', 'grid', 'spark', 'hash', 'snippets', 'report', 'standalone', 'standalonelook', 'html', 'theme'],
  ['events', 'api', 'stream', 'memory'],
  ['state', 'address'],
  ['runner', 'look', 'sweeper'],
  ['actions'],
];
const rank = (name) => {
  const found = RANKS.findIndex((names) => names.includes(name));
  return found < 0 ? RANKS.length : found; // everything else draws
};

const modules = new Map(
  readdirSync(FOLDER).map((file) => {
    const text = readFileSync(new URL(file, FOLDER), 'utf8');
    const imports = [...text.matchAll(/^(?:import|export)[^'"]*?from '([^']+)'/gm)].map((match) => match[1]);
    return [file.replace('.js', ''), { text, imports }];
  }),
);
const ours = (imports) => imports.filter((path) => path.startsWith('./')).map((path) => path.slice(2, -3));

test('imports point one way: panels, state, api', () => {
  for (const [name, { imports }] of modules) {
    for (const other of ours(imports)) assert.ok(rank(other) <= rank(name), `${name} imports ${other}`);
  }
});

test('no import goes in a circle', () => {
  const visit = (name, path) => {
    assert.ok(!path.includes(name), [...path, name].join(' -> '));
    for (const other of ours(modules.get(name).imports)) visit(other, [...path, name]);
  };
  for (const name of modules.keys()) visit(name, []);
});

test('pure modules touch neither browser nor framework', () => {
  for (const name of RANKS[0].filter((item) => item !== 'html' && item !== 'theme')) {
    const { text, imports } = modules.get(name);
    assert.deepEqual(imports.filter((path) => !path.startsWith('./')), [], name);
    assert.doesNotMatch(text, /\b(document|window|location|localStorage|fetch)\b[.(]/, name);
  }
});

test('one module touches Plotly', () => {
  const users = [...modules].filter(([, { text }]) => /\bPlotly\./.test(text)).map(([name]) => name);
  assert.deepEqual(users, ['plot']);
});

test('everything third-party is in the import map', () => {
  const known = ['preact', 'preact/hooks', 'htm', '@preact/signals', 'eventsource-parser'];
  for (const [name, { imports }] of modules) {
    for (const path of imports.filter((item) => !item.startsWith('./'))) assert.ok(known.includes(path), `${name}: ${path}`);
  }
});
