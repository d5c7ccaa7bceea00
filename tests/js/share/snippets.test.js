import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { toFigurePath, toFigureQuery, toSnippets } from '../../../static/js/share/snippets.js';

const specs = [{ connection: { kind: 'hc' } }, { input: { text: "it's '''quoted''' \\ and\nlong" } }];
const text = (key) => toSnippets('http://host:1', specs).find((item) => item.key === key).text;

test('the shell passes exactly the specs to curl', () => {
  const line = text('curl').split('\n\n')[0].split('\n').slice(1).join('\n');
  const body = execFileSync('bash', ['-c', `curl() { printf %s "\${@: -1}"; }; ${line}`], { encoding: 'utf8' });
  assert.deepEqual(JSON.parse(body), specs);
});

test('Python reads exactly the specs', () => {
  const head = text('python').split('\n\nwith')[0].replace('import httpx\nimport plotly.io\n', '');
  const printed = execFileSync('python3', ['-c', `${head}\nprint(json.dumps(specs))`], { encoding: 'utf8' });
  assert.deepEqual(JSON.parse(printed), specs);
});

test('JSON is the specs', () => assert.deepEqual(JSON.parse(text('json')), specs));

test('one spec goes to the route of one run', () => {
  assert.match(toSnippets('http://host:1', [specs[0]])[0].text, /\/api\/v1\/runs' -d '\{/);
});

test('the query of a figure contains how it is shown', () => {
  const query = toFigureQuery({
    view: 'log',
    layer: 3,
    step: null,
    theme: 'dark',
    difference: true,
    labels: ['A HC', 'B "ours" & more'],
  });
  const path = toFigurePath(['x', 'y', 'z'], 'gain', query);
  const url = new URL(`http://host${path}`);
  assert.equal(url.pathname, '/runs/x/figures/gain');
  assert.equal(url.searchParams.get('with'), 'y,z');
  assert.equal(url.searchParams.get('difference'), 'true');
  assert.deepEqual(url.searchParams.getAll('label'), ['A HC', 'B "ours" & more']);
  assert.equal(url.searchParams.has('step'), false);
  assert.equal(toFigurePath(['x'], 'gain', []).includes('with'), false);
});

test('a snapshot is read, not computed', () => {
  const shown = { ids: ['x'], snapshot: 's1', panel: 'cka', query: [] };
  for (const { key, text } of toSnippets('http://host:1', specs, shown).slice(0, 2)) {
    assert.match(text, /\/snapshots\/s1/, key);
    assert.doesNotMatch(text, /runs\/compare|quoted/, key);
  }
});

test('a view with recordings only has no specs', () => {
  const keys = toSnippets('http://host:1', [], { ids: ['x'], snapshot: 's1', panel: 'gain', query: [] }).map(
    ({ key }) => key,
  );
  assert.deepEqual(keys, ['curl', 'python']);
});

test('specs that differ in seed set mixed', () => {
  const seeds = [{ seed: 1 }, { seed: 2 }];
  for (const { key, text } of toSnippets('http://host:1', seeds))
    assert.equal(text.includes('/runs/compare?mixed=true'), key !== 'json', key);
});
