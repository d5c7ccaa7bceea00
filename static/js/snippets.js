/** The calls behind this very view, as text to copy. No browser here. */

/**
 * @param {string} origin
 * @param {any[]} specs
 * @returns {{key: string, title: string, text: string}[]}
 */
export function toSnippets(origin, specs) {
  const body = JSON.stringify(specs.length === 1 ? specs[0] : specs, null, 1);
  const route = specs.length === 1 ? 'runs' : 'runs/compare';
  return [
    { key: 'curl', title: 'curl', text: toCurl(origin, route, body) },
    { key: 'python', title: 'Python', text: toPython(origin, specs) },
    { key: 'json', title: 'JSON', text: JSON.stringify(specs, null, 2) },
  ];
}

/** A sweep, its numbers and its figure. @param {string} origin @param {any} sweep @param {string} metric @param {string} reduce */
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

/** @param {string} origin @param {string} route @param {string} body */
function toCurl(origin, route, body) {
  const quoted = body.replaceAll("'", "'\\''");
  return [
    '# start the runs (known ones are not computed again); the answer holds their ids',
    `curl -s ${origin}/api/v1/${route} -d '${quoted}'`,
    '',
    '# frames as they arise, then all columns',
    `curl -sN -H 'Accept: application/x-ndjson' ${origin}/api/v1/runs/ID/events`,
    `curl -s ${origin}/api/v1/runs/ID/result.csv`,
  ].join('\n');
}

/** @param {string} origin @param {any[]} specs */
function toPython(origin, specs) {
  return `import json

import httpx
import plotly.io

specs = json.loads(r'''${JSON.stringify(specs, null, 1).replaceAll("'''", "''\\u0027")}''')

with httpx.Client(base_url="${origin}/api/v1", timeout=None) as api:
    runs = [run["id"] for run in api.post("/runs/compare", json=specs).raise_for_status().json()]
    for run in runs:  # follow each to its end
        with api.stream("GET", f"/runs/{run}/events", headers={"Accept": "application/x-ndjson"}) as frames:
            for line in frames.iter_lines():
                frame = json.loads(line)
    columns = api.get(f"/runs/{runs[0]}/result.json").json()["layers"]
    figure = api.get(f"/runs/{runs[0]}/figures/gain", params={"with": ",".join(runs[1:])}).text

plotly.io.from_json(figure).show()
`;
}
