"""Make the data folder of a release: `python -m tests.contract.make_released CHECKOUT OUT`.

Writes OUT.sqlite, the database as that checkout's server leaves it, and OUT.json, ids and answers of the same server.
"""

import json
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from tests.contract.checkouts import Checkout, Question, Server
from tests.contract.fresh import finish_sweep
from tests.contract.questions import API, NDJSON

TINY: dict[str, Any] = {
    "width": 8,
    "block": {"kind": "mlp", "mlp_ratio": 1},
    "input": {"text": "Small steps.", "batch": 1, "tokens": 4},
}
HC = {**TINY, "depth": 2, "connection": {"kind": "hc", "streams": 2}}
SPECS = {
    "hc": HC,
    "trained": {**TINY, "depth": 2, "connection": {"kind": "residual"}, "train": {"steps": 3, "kept": 2}},
    "failed": {**HC, "device": "cuda"},
}
# Its first cell is the run above.
SWEEP = {"spec": HC, "x": {"field": "depth", "values": [2, 3]}}
STATE = "v=1&runs=hc,residual&depth=2&width=8&layer=1"
MAP_STATE = "v=1&runs=hc&depth=2&width=8&connection.streams=2&map=A&map.x=depth,2,3"


def main(arguments: Sequence[str]) -> None:
    """Write both files."""
    checkout, out = Checkout(Path(arguments[0]).resolve()), Path(arguments[1])
    checkout.require_own_packages()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        server = Server(checkout, data)
        try:
            server.wait()
            known = fill(server)
        finally:
            server.stop()
        out.with_suffix(".json").write_text(json.dumps(known, indent=2, ensure_ascii=False) + "\n")
        write_database(data / "mhc-scope.db", out.with_suffix(".sqlite"))


def fill(server: Server) -> dict[str, Any]:
    """Put runs, a verification, a sweep and snapshots in; ids and answers."""
    ids = {name: str(post(server, "/runs", spec)["id"]) for name, spec in SPECS.items()}
    for run_id in ids.values():
        server.ask(Question(f"{API}/runs/{run_id}/events", headers=NDJSON))
    post(server, f"/runs/{ids['hc']}/verify", {})
    sweep = finish_sweep(server.ask, SWEEP)
    view = {"runs": [ids["hc"], ids["trained"]], "state": STATE, "title": "Two runs", "note": "A note."}
    map_view = {"runs": [ids["hc"]], "state": MAP_STATE, "title": "A map", "sweep": sweep["id"]}
    snapshots = {"runs": post(server, "/snapshots", view)["id"], "sweep": post(server, "/snapshots", map_view)["id"]}
    answers = {path: ask(server, Question(path)) for path in list_paths(ids, snapshots)}
    return {"runs": ids, "sweep": {"id": sweep["id"], "ids": sweep["ids"]}, "snapshots": snapshots, "answers": answers}


def list_paths(ids: dict[str, str], snapshots: dict[str, str]) -> list[str]:
    """Addresses whose answers must stay."""
    runs = [f"{API}/runs/{run_id}" for run_id in ids.values()]
    results = [f"{API}/runs/{ids[name]}/result.json" for name in ("hc", "trained")]
    kept = [f"{API}/snapshots/{snapshot_id}" for snapshot_id in snapshots.values()]
    return [*runs, *results, f"{runs[0]}/verify", *kept, f"{kept[-1]}/sweep/values"]


def post(server: Server, path: str, body: Any) -> Any:
    """The answer to a body."""
    return ask(server, Question(f"{API}{path}", body=body))


def ask(server: Server, question: Question) -> Any:
    """An answer in JSON; a refusal is an error."""
    answer = server.ask(question)
    if answer.status >= 400:
        raise RuntimeError(f"{question} was answered with {answer.status}: {answer.body!r}")
    return orjson.loads(answer.body)


def write_database(source: Path, target: Path) -> None:
    """A copy in one file and without free pages."""
    shutil.copyfile(source, target)
    with closing(sqlite3.connect(target)) as database:
        database.execute("PRAGMA journal_mode=DELETE")
        database.execute("VACUUM")


if __name__ == "__main__":
    main(sys.argv[1:])
