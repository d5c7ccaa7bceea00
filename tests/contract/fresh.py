"""Two servers with empty data folders: the same specs computed by both, and all that can be asked of them."""

import json
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from tests.contract.checkouts import Answer, Checkout, Pair, Question, do_both
from tests.contract.files import read_boot, read_npz
from tests.contract.items import ask_all, compare_files, take_log, take_mappings
from tests.contract.links import HASHES, open_links, read_released
from tests.contract.questions import (
    API,
    NDJSON,
    SNAPSHOTS,
    SWEEP,
    VERIFIED,
    Ids,
    Views,
    ask_composites,
    ask_costs,
    ask_descriptions,
    ask_figures,
    ask_joint_figures,
    ask_panels,
    ask_placed_figures,
    ask_refused,
    ask_sweep,
)
from tests.contract.report import Report
from tests.contract.specs import COMPARISONS, SPECS, Spec

TIMES = r"(?:^|\.)(?:timings|created_at|cost\.seconds)(?:\.|$)|(?:^|\.)versions\.mhc_scope$"
# Each server times its own machine; a figure's axes span the times as well.
SECONDS = r"(?:^|\.)seconds$|(?:^|\.)data\.4\.|(?:^|\.)layout\.xaxis\d*\.range"
CALLED = ("trained",)  # specs that the command line computes


def compare_runs(pair: Pair, report: Report) -> Ids:
    """Submit all specs and follow them; ids by the name of the spec."""
    row, logs = report.add("run ids"), report.add("frame log, line by line", may_grow=True, ignored=TIMES)
    ids = {}
    for name, spec in SPECS.items():
        first, second = (orjson.loads(answer.body) for answer in pair.ask(Question(f"{API}/runs", body=spec)))
        row.take(name, first["id"], second["id"])
        ids[name] = first["id"]
        take_log(logs, name, *pair.ask(Question(f"{API}/runs/{first['id']}/events", headers=NDJSON)))
    return ids


def compare_results(pair: Pair, report: Report, ids: Ids) -> None:
    """Rows of runs, and their results in all formats."""
    paths = {name: f"{API}/runs/{run_id}" for name, run_id in ids.items()}
    ask_all(pair, report.add("run: status, summary", True, TIMES), map(Question, paths.values()))
    ask_all(pair, report.add("result.json", True, TIMES), [Question(f"{path}/result.json") for path in paths.values()])
    compare_files(pair, report.add("result.npz, arrays", True, TIMES), paths, "npz")
    compare_files(pair, report.add("result.csv, columns", True), paths, "csv")


def compare_panels(pair: Pair, report: Report) -> Views:
    """Templates, beside which the rules for filling them may be new; the first one's panels with their views."""
    ask_all(pair, report.add("panels: templates", ignored=r"^body\.rules$"), ask_panels())
    panels = orjson.loads(pair.before.ask(Question(f"{API}/panels")).body)["panels"]
    return [(panel["key"], view["key"]) for panel in panels for view in panel["views"]]


def compare_figures(pair: Pair, report: Report, ids: Ids, views: Views) -> None:
    """All figures."""
    what = f"figures: {len(dict(views))} panels in {len(views)} views x {len(ids)} specs x 2 themes"
    ask_all(pair, report.add(what), ask_figures(ids, views))
    what = "figures of several runs, plain and as differences"
    ask_all(pair, report.add(what), ask_joint_figures(ids, views))
    ask_all(pair, report.add("figures at steps, layers, intervals, with labels"), ask_placed_figures(ids, views))


def compare_answers(pair: Pair, report: Report, ids: Ids) -> None:
    """What else is told of runs and of the product."""
    ask_all(pair, report.add("composites"), ask_composites(ids))
    ask_all(pair, report.add("schema, metrics, presets, paper's costs", True), ask_descriptions())
    ask_all(pair, report.add("predicted costs", True, SECONDS), ask_costs())
    verifications = [Question(f"{API}/runs/{ids[name]}/verify", body={}) for name in VERIFIED]
    ask_all(pair, report.add("verifications", True), verifications)
    ask_all(pair, report.add("refusals", True), ask_refused(ids), refused=True)


def compare_sweep(pair: Pair, report: Report) -> str:
    """A sweep's runs, numbers and maps; its id."""
    row = report.add("sweep: ids, numbers, maps", True)
    before, after = pair.each(lambda server: finish_sweep(server.ask, SWEEP))
    row.take("sweep", before, after)
    ask_all(pair, row, ask_sweep(before["links"]["self"]))
    return str(before["id"])


def finish_sweep(ask: Callable[[Question], Answer], sweep: dict[str, Any]) -> dict[str, Any]:
    """A sweep when all its runs are done."""
    found: dict[str, Any] = orjson.loads(ask(Question(f"{API}/runs/sweep", body=sweep)).body)
    while found["is_open"]:
        time.sleep(0.1)
        found = orjson.loads(ask(Question(found["links"]["self"])).body)
    return found


def store_snapshots(pair: Pair, report: Report, ids: Ids, sweep: str) -> list[str]:
    """Keep views on both; their ids."""
    row = report.add("snapshots: ids", True, TIMES)
    kept = []
    for names, fields in SNAPSHOTS:
        body = {"runs": [ids[name] for name in names], **fields}
        body |= {"sweep": sweep} if "map=" in fields["state"] else {}
        before, after = pair.ask(Question(f"{API}/snapshots", body=body))
        row.take_json(fields["state"], before, after)
        kept.append(str(orjson.loads(before.body)["id"]))
    return kept


def compare_links(pair: Pair, report: Report, before: Checkout, after: Checkout) -> None:
    """Released links as they are written down, and what the page's modules read in them: views, specs, run ids."""
    released, kept = read_released(before.folder), read_released(after.folder)
    take_mappings(report.add("links.json: entries", True), "", released, {key: kept.get(key) for key in released})
    groups = [[SPECS[name] for name in names] for names in [*COMPARISONS.values(), *((name,) for name in SPECS)]]
    schemas = [orjson.loads(answer.body) for answer in pair.ask(Question(f"{API}/schema"))]
    rules = [read_boot(answer.body).get("rules") for answer in pair.ask(Question("/"))]

    def read(side: tuple[Checkout, Any, Any]) -> Any:
        checkout, schema, sent = side
        return open_links(checkout.folder, schema, sent, [*released, *HASHES], groups)

    opened = do_both(read, (before, schemas[0], rules[0]), (after, schemas[1], rules[1]))
    row, specs = report.add("hash links: views, specs, labels"), []
    for one, other in zip(*opened, strict=True):
        row.take(f"#{one['hash']}", one, other)
        specs += one["specs"]
    estimates = [Question(f"{API}/estimate", body=spec) for spec in specs]
    ask_all(pair, report.add("hash links: run ids", True, SECONDS), estimates)


def compare_command_lines(report: Report, before: Checkout, after: Checkout) -> None:
    """`schema` and `run`."""
    row = report.add("command line: schema, run", True, TIMES)
    row.take("schema", *do_both(call_schema, before, after))
    for name in CALLED:
        take_mappings(row, f"run {name}", *do_both(partial(call_run, SPECS[name]), before, after))


def call_schema(checkout: Checkout) -> Any:
    """The schema that is printed."""
    return json.loads(checkout.call("schema").stdout)


def call_run(spec: Spec, checkout: Checkout) -> dict[str, Any]:
    """Arrays that `run` writes, and the findings that it prints."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "result.npz"
        done = checkout.call("run", "-", "--out", str(out), stdin=json.dumps(spec))
        return {**read_npz(out.read_bytes()), "stdout": done.stdout}
