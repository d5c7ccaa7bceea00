/** Builds a view as one self-contained HTML file, without requests. No browser here. */

import { escapeMarkup } from '../data/markup.js';
import { toStyle } from './standalonelook.js';

/**
 * @typedef {{text: string, value: number | null}} Cell `value` is the number behind the text, if any
 * @typedef {{caption: string, head: string[], rows: Cell[][]}} Numbers
 * @typedef {{key: string, title: string, unit: string, meaning: string, svg: string, paper: string, supplement: string,
 *   numbers: Numbers | null, help: import('../../types').Panel['help'] | null}} Card `svg` in the theme of the screen, `paper` in the
 *   light theme if that differs; `svg`, `paper` and `supplement` are markup
 * @typedef {{label: string, color: string, paperColor: string, id: string, headline: string, source: unknown,
 *   findings: {text: string, numbers: [string, string][]}[]}} RunReport one run
 * @typedef {{title: string, note: string, made: string, version: string, links: {title: string, url: string}[], palettes: Palettes,
 *   settings: import('./report.js').Settings, runs: RunReport[], notes: string[], cards: Card[], live: Live | null, nonce: string}} SavedView
 * @typedef {import('./scripts.js').Scripts & {given: string}} Live scripts of the sliders, and `given`, the packed data
 * @typedef {{screen: Record<string, string>, paper: Record<string, string>, isDark: boolean}} Palettes CSS variables
 */

// No fonts and no requests; only the file's own scripts run.
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/** Build the HTML file of a saved view. @param {SavedView} saved */
export function toSavedPage(saved) {
  const title = escapeMarkup(saved.title);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}${saved.live ? `; script-src 'nonce-${saved.nonce}'` : ''}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="mHC Scope ${escapeMarkup(saved.version)}">
<meta name="referrer" content="no-referrer">
<title>${title} · mHC Scope</title>
<style>${toStyle(saved.palettes)}</style>
${saved.live ? toScripts(saved.live, saved.nonce) : ''}</head>
<body>
<header>
<p class="brand"><b>mHC</b> Scope</p>
<h1>${title}</h1>
${
  saved.note
    ? `<p class="note">${escapeMarkup(saved.note)}</p>
`
    : ''
}<p class="muted">${escapeMarkup(saved.made)} · version ${escapeMarkup(saved.version)}</p>
${saved.links.map(({ title: name, url }) => `<p class="muted">${escapeMarkup(name)}: <a href="${escapeMarkup(url)}">${escapeMarkup(url)}</a></p>`).join('\n')}
</header>
<main>
<section class="story" aria-label="What the runs show">
${saved.runs.map(toStory).join('\n')}
</section>
${saved.live ? SLIDERS : ''}${toSettings(saved)}
${saved.cards.map(toCard).join('\n')}
<section class="card">
<h2>Notes</h2>
<ul>${saved.notes.map((note) => `<li>${escapeMarkup(note)}</li>`).join('')}</ul>
</section>
</main>
</body>
</html>
`;
}

/** Section of the sliders. */
const SLIDERS = `<section class="card try-it" id="try-it" aria-label="Try it"><h2>Try it</h2>
<p class="muted">These sliders work offline, within the saved data. Figures that need new runs are dimmed.</p>
<div class="sliders"></div><p class="said" aria-live="polite"></p></section>
`;

/** Build the script elements of a saved view with sliders. @param {Live} live @param {string} nonce */
function toScripts({ given, entry, imports, plotly }, nonce) {
  const openScript = (/** @type {string} */ type) => `<script nonce="${nonce}"${type && ` type="${type}"`}`;
  const escapeJson = (/** @type {string} */ json) => json.replaceAll('<', '\\u003c');
  return `${openScript('application/json')} id="given">${escapeJson(given)}</script>
${openScript('importmap')}>${escapeJson(JSON.stringify({ imports }))}</script>
${openScript('')}>${plotly.replaceAll('</script', '<\\/script')}</script>
${openScript('module')}>import "${entry}";</script>
`;
}

/** Build the HTML of a run's findings for the saved file. @param {RunReport} run */
function toStory({ label, color, paperColor, headline, findings }) {
  const allNumbers = findings.flatMap(({ numbers }) => numbers);
  const behind = allNumbers.map(
    ([name, value]) => `<tr><th scope="row">${escapeMarkup(name)}</th><td>${escapeMarkup(value)}</td></tr>`,
  );
  return `<article class="card run" style="--run: ${escapeMarkup(color)}; --paper-run: ${escapeMarkup(paperColor)}">
<h2>${escapeMarkup(label)}</h2>
<p class="headline">${escapeMarkup(headline)}</p>
<ul>${findings.map(({ text }) => `<li>${escapeMarkup(text)}</li>`).join('')}</ul>
${allNumbers.length > 0 ? `<details><summary>Numbers behind the sentences</summary><table><tbody>${behind.join('')}</tbody></table></details>` : ''}
</article>`;
}

/** Build the HTML of the settings in a saved view. @param {SavedView} saved */
function toSettings({ settings, runs }) {
  const shared = settings.shared
    .map(
      ({ title, value }) =>
        `<div${value.length > 40 ? ' class="long"' : ''}><dt>${escapeMarkup(title)}</dt><dd>${escapeMarkup(value)}</dd></div>`,
    )
    .join('');
  const own = settings.own.map(
    ({ title, values }) =>
      `<tr><th scope="row">${escapeMarkup(title)}</th>${values.map((value) => `<td>${escapeMarkup(value)}</td>`).join('')}</tr>`,
  );
  const heads = runs.map(({ label }) => `<th scope="col">${escapeMarkup(label)}</th>`).join('');
  return `<section class="card">
<h2>Settings</h2>
${own.length > 0 ? `<div class="table-box"><table><caption>Differences</caption><thead><tr><th scope="col">setting</th>${heads}</tr></thead><tbody>${own.join('')}</tbody></table></div>` : ''}
<dl class="settings">${shared}</dl>
${runs.map(toSource).join('\n')}
</section>`;
}

/** Build the source of a run as JSON. @param {RunReport} run */
function toSource({ label, id, source }) {
  return `<details><summary>${escapeMarkup(label)} as JSON <span class="muted">run ${escapeMarkup(id)}</span></summary>
<pre tabindex="0">${escapeMarkup(JSON.stringify(source, null, 1))}</pre></details>`;
}

/** Build the HTML of a figure in a saved view. @param {Card} card */
function toCard({ key, title, unit, meaning, svg, paper, supplement, numbers, help }) {
  const label = `${title}: a figure; its numbers are in the table below`;
  const toFigure = (/** @type {string} */ markup, /** @type {string} */ where) =>
    `<div class="figure ${where}" tabindex="0" role="region" aria-label="${escapeMarkup(`${title}, figure`)}"><div role="img" aria-label="${escapeMarkup(label)}">${markup}</div></div>`;
  return `<section class="card panel" id="${escapeMarkup(key)}" data-panel="${escapeMarkup(key)}">
<h2>${escapeMarkup(title)} <span class="muted unit">${escapeMarkup(unit)}</span></h2>
<p class="muted">${escapeMarkup(meaning)}</p>
${svg ? toFigure(svg, paper ? 'on-screen' : '') : ''}${paper ? toFigure(paper, 'on-paper') : ''}
${supplement ? `<div class="supplement">${supplement}</div>` : ''}
${
  help
    ? `<details class="help"><summary>How to read it</summary><p>${escapeMarkup(help.reading)}</p>
<dl><dt>Formula</dt><dd class="formula">${escapeMarkup(help.formula)}</dd><dt>Symbol</dt><dd class="formula">${escapeMarkup(help.symbol)}</dd><dt>Source</dt><dd>${escapeMarkup(help.source)}</dd></dl></details>`
    : ''
}
${numbers ? toTable(title, numbers) : ''}
</section>`;
}

/** Build the HTML of a table of numbers. @param {string} title @param {Numbers} numbers */
function toTable(title, { caption, head, rows }) {
  const body = rows.map(
    ([first, ...cells]) => `<tr><th scope="row">${escapeMarkup(first.text)}</th>${cells.map(toCell).join('')}</tr>`,
  );
  return `<details class="numbers"><summary>The numbers</summary>
<div class="table-box" tabindex="0" role="region" aria-label="${escapeMarkup(`${title}, table`)}"><table><caption>${escapeMarkup(caption)}</caption>
<thead><tr>${head.map((text) => `<th scope="col">${escapeMarkup(text)}</th>`).join('')}</tr></thead>
<tbody>${body.join('\n')}</tbody></table></div></details>`;
}

/** Build the HTML of a table cell, with the exact number. @param {Cell} cell */
function toCell({ text, value }) {
  return `<td>${value === null ? escapeMarkup(text) : `<data value="${value}">${escapeMarkup(text)}</data>`}</td>`;
}

/** Convert a title to a file name. @param {string} title */
export function toFileName(title) {
  const words = title
    .normalize('NFKD')
    .replaceAll(/\p{M}/gu, '')
    .replaceAll(/[^A-Za-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 60);
  return `mhc-scope-${words || 'view'}.html`.toLowerCase();
}
