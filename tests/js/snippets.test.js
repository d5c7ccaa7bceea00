import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { toSnippets } from '../../static/js/snippets.js';

const specs = [{ connection: { kind: 'hc' } }, { input: { text: "it's '''quoted''' \\ and\nlong" } }];
const text = (key) => toSnippets('http://host:1', specs).find((item) => item.key === key).text;

test('the shell gives curl exactly the specs', () => {
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
  assert.match(toSnippets('http://host:1', [specs[0]])[0].text, /\/api\/v1\/runs -d '\{/);
});
