"""Two servers with the same data folder, which the first has written: what is stored must read the same in both."""

from collections.abc import Sequence

from tests.contract.checkouts import Pair, Question
from tests.contract.files import read_boot
from tests.contract.items import ask_all, compare_files, take_log
from tests.contract.questions import API, NDJSON, VERIFIED, Ids, Views, ask_stored_figures, ask_sweep
from tests.contract.report import Report
from tests.contract.specs import SPECS

PRODUCT_VERSION = r"(?:^|\.)(?:version|versions\.mhc_scope)$"


def compare_stored_runs(pair: Pair, report: Report, ids: Ids) -> None:
    """Runs of the first one's data folder, as each reads them."""
    paths = {name: f"{API}/runs/{run_id}" for name, run_id in ids.items()}
    ask_all(pair, report.add("stored: runs", True, PRODUCT_VERSION), map(Question, paths.values()))
    logs = report.add("stored: frame log, line by line", True)
    questions = [Question(f"{path}/events", headers=NDJSON) for path in paths.values()]
    for name, (_, before, after) in zip(paths, pair.ask_all(questions), strict=True):
        take_log(logs, name, before, after)
    compare_files(pair, report.add("stored: result.npz, arrays", True), paths, "npz")
    verified = [Question(f"{paths[name]}/verify") for name in VERIFIED if not SPECS[name].get("train")]
    ask_all(pair, report.add("stored: verifications", True), verified)


def compare_stored_views(pair: Pair, report: Report, ids: Ids, views: Views, snapshots: Sequence[str]) -> None:
    """Snapshots of the first one's data folder: themselves, their pages, embeds, pictures, figures and maps."""
    ask_all(pair, report.add("stored: snapshots", True), [Question(f"{API}/snapshots/{name}") for name in snapshots])
    ask_all(pair, report.add("stored: figures of snapshots"), ask_stored_figures(ids, views))
    sweep = f"{API}/snapshots/{snapshots[-1]}/sweep"
    ask_all(pair, report.add("stored: sweep's numbers and maps", True), ask_sweep(sweep))
    row = report.add("stored: pages' and embeds' data", True, PRODUCT_VERSION)
    pages = [f"/s/{name}" for name in snapshots]
    embeds = [f"/embed/{name}?panel={panel}" for name in (*snapshots, ids["hc"]) for panel in ("gain", "detail")]
    for question, before, after in pair.ask_all([Question(path) for path in (*pages, *embeds)]):
        row.take(str(question), read_boot(before.body), read_boot(after.body))
    row = report.add("stored: pictures, byte by byte")
    for question, before, after in pair.ask_all([Question(f"{path}/picture.png") for path in pages]):
        assert before.status == 200, before.body
        row.take(str(question), before.body, after.body)
