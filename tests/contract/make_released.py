"""Make the data folder of a release, in its checkout: `python -m tests.contract.make_released OUT`.

Writes OUT.sqlite, the database as the server leaves it, and OUT.json, ids and answers of the same server.
"""

import json
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import start_server

API = "/api/v1"
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
    out = Path(arguments[0])
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        server = start_server(data, "--no-precompute", "--workers", "1", forked=False)
        try:
            with httpx.Client(base_url=server.url, timeout=300) as http:
                known = fill(http)
        finally:
            server.terminate()
        out.with_suffix(".json").write_text(json.dumps(known, indent=2, ensure_ascii=False) + "\n")
        write_database(data / "mhc-scope.db", out.with_suffix(".sqlite"))


def fill(http: httpx.Client) -> dict[str, Any]:
    """Put runs, a verification, a sweep and snapshots in; ids and answers."""
    ids = {name: str(post(http, "/runs", spec)["id"]) for name, spec in SPECS.items()}
    for run_id in ids.values():
        http.get(f"{API}/runs/{run_id}/events", headers={"Accept": "application/x-ndjson"})
    post(http, f"/runs/{ids['hc']}/verify", {})
    sweep = post(http, "/runs/sweep", SWEEP)
    while sweep["is_open"]:
        time.sleep(0.1)
        sweep = read(http.get(sweep["links"]["self"]))
    view = {"runs": [ids["hc"], ids["trained"]], "state": STATE, "title": "Two runs", "note": "A note."}
    map_view = {"runs": [ids["hc"]], "state": MAP_STATE, "title": "A map", "sweep": sweep["id"]}
    snapshots = {"runs": post(http, "/snapshots", view)["id"], "sweep": post(http, "/snapshots", map_view)["id"]}
    answers = {path: read(http.get(path)) for path in list_paths(ids, snapshots)}
    return {"runs": ids, "sweep": {"id": sweep["id"], "ids": sweep["ids"]}, "snapshots": snapshots, "answers": answers}


def list_paths(ids: dict[str, str], snapshots: dict[str, str]) -> list[str]:
    """Addresses whose answers must stay."""
    runs = [f"{API}/runs/{run_id}" for run_id in ids.values()]
    results = [f"{API}/runs/{ids[name]}/result.json" for name in ("hc", "trained")]
    kept = [f"{API}/snapshots/{snapshot_id}" for snapshot_id in snapshots.values()]
    return [*runs, *results, f"{runs[0]}/verify", *kept, f"{kept[-1]}/sweep/values"]


def post(http: httpx.Client, path: str, body: Any) -> Any:
    """The answer to a body."""
    return read(http.post(f"{API}{path}", json=body))


def read(answer: httpx.Response) -> Any:
    """An answer in JSON; a refusal is an error."""
    return answer.raise_for_status().json()


def write_database(source: Path, target: Path) -> None:
    """A copy in one file and without free pages."""
    shutil.copyfile(source, target)
    with closing(sqlite3.connect(target)) as database:
        database.execute("PRAGMA journal_mode=DELETE")
        database.execute("VACUUM")


if __name__ == "__main__":
    main(sys.argv[1:])
