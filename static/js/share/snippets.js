/** API calls of this view, as text to copy. No browser here. */

import { isMixed } from '../net/api.js';

/**
 * The shown runs: ids if known, their snapshot, and the figure. `traces` has, for each run, the id of a recording, null for others.
 * @typedef {{ids: string[] | null, traces?: (string | null)[], snapshot: string | null, panel: string, query: [string, string][]}} Shown
 */

/** Default: only the specs are known. @type {Shown} */
const UNKNOWN = { ids: null, snapshot: null, panel: 'gain', query: [] };

/**
 * Build the code that requests the shown runs, in each language.
 * @param {string} origin
 * @param {any[]} specs
 * @param {Shown} [shown]
 * @returns {{key: string, title: string, text: string}[]}
 */
export function toSnippets(origin, specs, shown = UNKNOWN) {
  return [
    { key: 'curl', title: 'curl', text: toCurl(`${origin}/api/v1`, specs, shown) },
    { key: 'python', title: 'Python', text: toPython(`${origin}/api/v1`, specs, shown) },
    // A view with recordings only has no spec.
    ...(specs.length > 0 ? [{ key: 'json', title: 'JSON', text: JSON.stringify(specs, null, 2) }] : []),
  ];
}

/**
 * Build the query of a figure as it is shown.
 * @param {{view: string, layer: number, step: number | null, interval?: {first: number, last: number} | null, theme: string, difference: boolean, labels: string[] | null}} shown `labels` null
 *   where they are the server's own
 * @returns {[string, string][]}
 */
export function toFigureQuery({ view, layer, step, interval = null, theme, difference, labels }) {
  return [
    ['view', view],
    ['layer', String(layer)],
    ...(step === null ? [] : [/** @type {[string, string]} */ (['step', String(step)])]),
    ...Object.entries(interval ?? {}).map(([end, at]) => /** @type {[string, string]} */ ([end, String(at)])),
    ['theme', theme],
    ...(difference ? [/** @type {[string, string]} */ (['difference', 'true'])] : []),
    ...(labels ?? []).map((label) => /** @type {[string, string]} */ (['label', label])),
  ];
}

/** Build the path of a figure in the HTTP interface. @param {string[]} ids @param {string} panel @param {[string, string][]} query */
export function toFigurePath(ids, panel, query) {
  const [first, ...others] = ids;
  const parts = new URLSearchParams([...(others.length > 0 ? [['with', others.join(',')]] : []), ...query]);
  return `/runs/${first}/figures/${panel}?${parts.toString().replaceAll('%2C', ',')}`;
}

/** Build the calls for a sweep, its numbers and its figure. @param {string} origin @param {any} sweep @param {string} metric @param {string} reduce */
export function toSweepSnippet(origin, sweep, metric, reduce) {
  const base = `${origin}/api/v1/runs/sweep`;
  return [
    '# start the grid; the answer holds its id and those of its runs',
    `curl -s ${base} -d '${JSON.stringify(sweep).replaceAll("'", "'\\''")}'`,
    '',
    '# one number of each run, and the figure for plotly.io.from_json',
    `curl -s '${base}/ID/values?metric=${metric}&reduce=${reduce}'`,
    `curl -s '${base}/ID/figure?metric=${metric}&reduce=${reduce}'`,
  ].join('\n');
}

/** Return the route that starts specs. @param {any[]} specs */
const toRoute = (specs) => `runs/compare${isMixed(specs) ? '?mixed=true' : ''}`;

/** Quote a text for a shell. @param {string} text */
function quoteForShell(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Build the curl calls that compute the runs of the view and draw a figure. @param {string} base @param {any[]} specs @param {Shown} shown */
function toCurl(base, specs, { ids, traces = [], snapshot, panel, query }) {
  const body = JSON.stringify(specs.length === 1 ? specs[0] : specs, null, 1);
  const names =
    ids ??
    placeTraces(
      specs.map((_, index) => `ID${index + 1}`),
      traces,
    );
  const begin =
    specs.length === 0
      ? ['# the recording is on the server already']
      : [
          '# start the runs; known ones are not computed again',
          `curl -s ${quoteForShell(`${base}/${specs.length === 1 ? 'runs' : toRoute(specs)}`)} -d ${quoteForShell(body)}`,
        ];
  return [
    ...(snapshot ? ['# the snapshot and the ids of its runs', `curl -s ${base}/snapshots/${snapshot}`] : begin),
    '',
    '# frames while they are computed, then all columns',
    `for run in ${names.join(' ')}; do`,
    `  curl -sN -H 'Accept: application/x-ndjson' ${base}/runs/$run/events`,
    `  curl -s ${base}/runs/$run/result.csv`,
    'done',
    '',
    '# the figure, for plotly.io.from_json',
    `curl -s ${quoteForShell(base + toFigurePath(names, panel, query))}`,
  ].join('\n');
}

/** Insert the ids of recordings among those of runs. @param {string[]} ids @param {(string | null)[]} traces */
function placeTraces(ids, traces) {
  return traces.reduce((all, id, run) => (id ? all.toSpliced(run, 0, id) : all), ids);
}

/** Build a Python script that computes the runs of the view through the REST API, and shows a figure of them. @param {string} base @param {any[]} specs @param {Shown} shown */
function toPython(base, specs, { traces = [], snapshot, panel, query }) {
  const read = `specs = json.loads(r'''${JSON.stringify(specs, null, 1).replaceAll("'''", "''\\u0027")}''')\n\n`;
  const begin = snapshot
    ? `api.get("/snapshots/${snapshot}").raise_for_status().json()["runs"]`
    : specs.length === 0
      ? '[]'
      : `[run["id"] for run in api.post("/${toRoute(specs)}", json=specs).raise_for_status().json()]`;
  const added = snapshot
    ? []
    : traces.flatMap((id, run) => (id ? [`    runs.insert(${run}, "${id}")  # a recording\n`] : []));
  // A JSON string is a valid Python string.
  const pairs = query.map(([name, value]) => `    (${JSON.stringify(name)}, ${JSON.stringify(value)}),\n`).join('');
  return `import json

import httpx
import plotly.io

${snapshot || specs.length === 0 ? '' : read}options = [  # of the figure
${pairs}]

with httpx.Client(base_url="${base}", timeout=None) as api:
    runs = ${begin}
${added.join('')}    for run in runs:  # follow each run to its end
        with api.stream("GET", f"/runs/{run}/events", headers={"Accept": "application/x-ndjson"}) as frames:
            for line in frames.iter_lines():
                frame = json.loads(line)  # the latest numbers
    columns = [api.get(f"/runs/{run}/result.json").raise_for_status().json()["layers"] for run in runs]
    answer = api.get(f"/runs/{runs[0]}/figures/${panel}", params=[("with", ",".join(runs[1:])), *options])

figure = plotly.io.from_json(answer.raise_for_status().text)
figure.show()
`;
}
