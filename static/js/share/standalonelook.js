/** Styles of a saved view: on screen in its theme, on paper in the light one. No browser here. */

/** Build the style sheet of a saved view for both themes. @param {import('./standalone.js').Palettes} palettes */
export function toStyle({ screen, paper, isDark }) {
  return `:root { color-scheme: ${isDark ? 'dark' : 'light'}; ${declareColors(screen)} }
${RULES}
@page { margin: 14mm; }
@media print {
:root { color-scheme: light; ${declareColors(paper)} }
body { background: none; font-size: 12px; padding: 0; max-width: none; }
.run { --run: var(--paper-run) !important; }
.on-screen, .live, .try-it { display: none; }
.on-paper { display: block; }
.panel, .run { break-inside: avoid; }
h2 { break-after: avoid; }
details:not([open]) { display: none; }
.table-box, pre { max-height: none; overflow: visible; }
tr { break-inside: avoid; }
}
`;
}

/** Declare the colours of a theme as CSS properties. @param {Record<string, string>} palette */
function declareColors(palette) {
  return Object.entries(palette)
    .map(([name, value]) => `${name}: ${value};`)
    .join(' ');
}

const RULES = `* { box-sizing: border-box; }
html { print-color-adjust: exact; -webkit-print-color-adjust: exact; -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; max-width: 968px; padding: 28px 20px 48px; background: var(--page); color: var(--ink); font: 14px/1.5 var(--font); }
h1, h2, p, ul, dl, dd { margin: 0; padding: 0; }
h1 { font-size: 26px; line-height: 1.25; letter-spacing: -.01em; overflow-wrap: anywhere; margin-bottom: 6px; }
h2 { font-size: 16px; line-height: 1.35; }
a { color: var(--accent); overflow-wrap: anywhere; }
header { margin-bottom: 22px; }
.note { font-size: 16px; max-width: 70ch; margin-bottom: 8px; white-space: pre-line; overflow-wrap: anywhere; }
.brand { font-weight: 700; margin-bottom: 10px; }
.brand b { color: var(--accent); }
.muted, caption, small { color: var(--muted); font-size: 12.5px; font-weight: 400; }
main { display: grid; grid-template-columns: minmax(0, 1fr); gap: 14px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 14px 18px; min-width: 0; }
.story { display: grid; grid-template-columns: repeat(auto-fit, minmax(230px, 1fr)); gap: 14px; }
.run { border-left: 4px solid var(--run); }
.run h2 { font-size: 12.5px; color: var(--muted); overflow-wrap: anywhere; }
.headline { font-size: 20px; font-weight: 700; line-height: 1.4; font-variant-numeric: tabular-nums; }
.run > ul { list-style: none; padding: 0; }
.run li { margin-top: 6px; line-height: 1.42; }
.run summary { color: var(--muted); font-size: 12.5px; }
.run th, .run td { white-space: normal; overflow-wrap: anywhere; padding: 2px 4px 2px 0; font-size: 11.5px; }
section.card > ul { padding-left: 18px; }
.settings { display: grid; grid-template-columns: repeat(auto-fill, minmax(200px, 1fr)); gap: 4px 20px; margin: 10px 0; font-size: 13px; }
.settings div { display: flex; justify-content: space-between; gap: 10px; border-bottom: 1px solid var(--line); }
.settings .long { grid-column: 1 / -1; }
.settings dt { color: var(--muted); }
.settings dd { font-weight: 600; text-align: right; min-width: 0; overflow-wrap: anywhere; }
.figure { margin: 8px 0 4px; overflow-x: auto; }
.figure svg { display: block; width: 100%; min-width: 620px; height: auto; }
.on-paper { display: none; }
.sliders { display: flex; flex-wrap: wrap; gap: 6px 24px; margin: 8px 0; }
.sliders label { flex: 1 1 200px; font-size: 13px; }
.sliders output { float: right; font-weight: 600; font-variant-numeric: tabular-nums; }
.sliders input { display: block; width: 100%; accent-color: var(--accent); min-height: 24px; }
.live svg { max-width: none; }
.live { margin: 8px 0 4px; overflow-x: auto; }
@media screen { .replaced { display: none; } .waits { opacity: .42; } }
details { margin-top: 6px; }
summary { cursor: pointer; font-size: 13px; padding: 3px 0; }
summary:focus-visible, [tabindex]:focus-visible, a:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
.help { font-size: 13px; }
.help dl { display: grid; grid-template-columns: auto 1fr; gap: 2px 12px; margin: 6px 0; font-size: 12.5px; }
.help dt { color: var(--muted); }
.formula, pre { font-family: var(--mono); font-size: 12px; overflow-wrap: anywhere; }
pre { margin: 4px 0; padding: 10px 12px; background: var(--raised); border-radius: 8px; white-space: pre-wrap; max-height: 420px; overflow: auto; }
.table-box { overflow: auto; max-height: 460px; margin-top: 4px; }
table { border-collapse: collapse; font-size: 12.5px; font-variant-numeric: tabular-nums; width: 100%; }
caption { text-align: left; padding-bottom: 2px; }
th, td { padding: 3px 10px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
thead th { color: var(--muted); background: var(--card); position: sticky; top: 0; vertical-align: bottom; }
th:first-child { text-align: left; padding-left: 0; }
tbody th { font-weight: 400; }
td small { display: inline-block; min-width: 4.6em; margin-left: .5em; }
.added { display: block; height: 3px; margin: 2px 0 0 auto; width: var(--share); border-radius: 2px; background: var(--accent); }
.supplement .table-box { max-height: none; margin-top: 10px; }
.supplement dl { display: grid; grid-template-rows: auto auto; grid-auto-flow: column; grid-auto-columns: minmax(0, 1fr); gap: 2px 22px; font-size: 12.5px; }
.supplement dt { font-weight: 700; }
.supplement :is(th, td) { vertical-align: top; }
.supplement thead tr + tr th { text-align: right; }
.letters { color: var(--muted); }
.compared-kind th { font-weight: 700; }
.supplement p { overflow-wrap: anywhere; }
.paper-claim { margin-top: 10px; font-size: 12.5px; color: var(--muted); }
.hint { color: var(--muted); font-size: 12px; }
@media (max-width: 560px) { body { padding: 16px 10px 32px; } .card { padding: 12px; } .supplement dl { display: block; } .supplement dd { margin-bottom: 10px; } }`;
