import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createColumns } from '../../../static/js/data/columns.js';
import { toNotes, toSettings } from '../../../static/js/share/report.js';
import { toFileName, toSavedPage } from '../../../static/js/share/standalone.js';
import { fields } from '../schema.js';
import '../sent.js';

const EVIL = '</script><script>alert("1")</script>&\'';

/** @param {string} text @param {boolean} [isDark] @param {any} [live] */
function build(text, isDark = true, live = null) {
  const numbers = {
    caption: text,
    head: ['layer', text],
    rows: [
      [
        { text: '1', value: 1 },
        { text: '0.1235', value: 0.123456 },
      ],
      [
        { text: '2', value: 2 },
        { text: 'overflow', value: null },
      ],
    ],
  };
  const card = {
    key: 'gain',
    title: text,
    unit: text,
    meaning: text,
    svg: '<svg id="s"></svg>',
    paper: isDark ? '<svg id="p"></svg>' : '',
    supplement: '',
    numbers,
    help: { formula: text, reading: text, symbol: text, source: text },
  };
  return toSavedPage({
    title: text,
    note: text,
    made: '1 May 2026',
    version: '1.2',
    links: [{ title: text, url: `http://host/s/x?${text}` }],
    palettes: { screen: { '--card': '#000' }, paper: { '--card': '#fff' }, isDark },
    settings: { shared: [{ title: 'Depth', value: text }], own: [{ title: 'Kind', values: [text, 'HC'] }] },
    runs: [
      {
        label: text,
        color: '#123',
        paperColor: '#456',
        id: 'abc',
        headline: text,
        source: { text },
        findings: [{ text, numbers: [[text, '1']] }],
      },
    ],
    notes: [text],
    cards: [card],
    live,
    nonce: 'abc',
  });
}

test('user text never becomes markup', () => {
  const page = build(EVIL);
  assert.doesNotMatch(page, /<script/i);
  assert.equal(page.split('&lt;/script&gt;&lt;script&gt;').length - 1 >= 15, true, 'and all of it is there');
  assert.doesNotMatch(page, /="[^"]*alert\("/);
});

test('the file sends no requests and runs no scripts', () => {
  const page = build('plain');
  assert.match(
    page,
    /<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:;/,
  );
  assert.ok(
    page.indexOf('Content-Security-Policy') < page.indexOf('<style>'),
    'the policy comes before what it governs',
  );
  assert.doesNotMatch(page, /<(script|link|iframe|img|base|form)\b|\bsrc=|url\(|@import/i);
});

test('a formatted number keeps its value', () => {
  const page = build('plain');
  assert.match(page, /<tr><th scope="row">1<\/th><td><data value="0.123456">0.1235<\/data><\/td><\/tr>/);
  assert.match(page, /<td>overflow<\/td>/);
});

test('paper shows the light figure of a dark page, and the same figure of a light page', () => {
  assert.match(
    build('plain'),
    /class="figure on-screen"[^>]*><div[^>]*><svg id="s">.*class="figure on-paper"[^>]*><div[^>]*><svg id="p">/s,
  );
  assert.match(build('plain', false), /class="figure "[^>]*><div[^>]*><svg id="s">/);
  assert.doesNotMatch(build('plain', false), /class="figure on-paper"/);
});

test('settings are listed as shared or differing, without those that do not apply', () => {
  const residual = { depth: 8, connection: { kind: 'residual' } };
  const mhc = { depth: 8, connection: { kind: 'mhc', streams: 2 }, input: { text: `long  ${'x'.repeat(100)}` } };
  const { shared, own } = toSettings(fields, [residual, { ...residual, ...mhc }]);
  assert.deepEqual(
    shared.find((item) => item.title === 'Depth'),
    { title: 'Depth', value: '8' },
  );
  assert.deepEqual(own.find((item) => item.title === 'connection.kind').values, ['Residual', 'mHC']);
  assert.ok(own.find((item) => item.title === 'input.text').values[1].startsWith('long xxx'));
  assert.equal(own.find((item) => item.title === 'input.text').values[1].length, 81);
  assert.equal(shared.find((item) => item.title === 'connection.streams').value, '2', 'one run alone has streams');
  assert.equal(
    shared.some((item) => item.title === 'train.lr'),
    false,
    'no run trains',
  );
});

/** @param {any} spec */
function started(spec) {
  const start = {
    spec,
    cka: { estimator: 'unbiased', samples: 128 },
    device: { name: 'cpu' },
    versions: { mhc_scope: '0.1' },
  };
  return { ...createColumns(), start };
}

test('notes are merged if they are the same for all runs, else listed per run', () => {
  const one = started({ seed: 3, seeds: 1, dtype: 'float32', train: { steps: 0 } });
  const many = started({ seed: 3, seeds: 8, dtype: 'float32', train: { steps: 5 } });
  const alike = toNotes([one, one], ['A', 'B'], false);
  assert.ok(alike.includes('One draw of the weights, from seed 3. Other seeds give other numbers.'));
  assert.ok(alike.includes('Measured at initialisation, without training.'));
  assert.ok(alike.includes('CKA: the unbiased estimator over 128 samples.'));
  const mixed = toNotes([one, many], ['A', 'B'], true);
  assert.match(mixed[0], /relative to A/);
  assert.ok(mixed.some((text) => /^B: .*8 seeds/.test(text)));
  assert.ok(mixed.includes('B: Measured after 5 steps of training.'));
  assert.equal(mixed.filter((text) => text.startsWith('CKA')).length, 1);
  assert.deepEqual(toNotes([createColumns()], ['A'], false), []);
  const [part] = toNotes([one], ['A'], false, 'layers 3–5');
  assert.equal(part, 'Figures and their numbers cover layers 3–5; headlines and sentences cover all layers.');
});

test('a title becomes a plain file name', () => {
  assert.equal(toFileName('A Résidual, B mHC 20/../x'), 'mhc-scope-a-residual-b-mhc-20-x.html');
  assert.equal(toFileName('…'), 'mhc-scope-view.html');
});

test('a file with sliders runs only its own scripts, whatever the records contain', () => {
  const live = {
    given: JSON.stringify({ text: EVIL }),
    entry: 'mhc-scope/saved.js',
    imports: { 'mhc-scope/saved.js': 'data:text/javascript;base64,' },
    plotly: 'const end = "</script>";',
  };
  const page = build('plain', false, live);
  assert.equal(page.match(/<script/g)?.length, 4);
  assert.equal(page.match(/<script nonce="abc"/g)?.length, 4);
  assert.equal(page.match(/<\/script>/g)?.length, 4);
  assert.match(page, /script-src 'nonce-abc'">/);
  assert.ok(!build('plain', false).includes('script'), 'without sliders there is none');
});
