"""Runs as earlier versions stored them."""

import json
import sqlite3
from collections.abc import Collection

from mhc_scope.store.frames import unpack_line
from tests.conftest import Server


def store_as_of_old(server: Server, run_id: str, name: str, without: Collection[str]) -> None:
    """Store a finished run once more under another id, its steps without these keys."""
    with sqlite3.connect(server.data / "mhc-scope.db", timeout=30) as database:
        columns = [row[1] for row in database.execute("pragma table_info(runs)")]
        copied = ", ".join("?" if column == "id" else column for column in columns)
        database.execute(f"insert into runs select {copied} from runs where id = ?", (name, run_id))
        lines = database.execute("select idx, line from frames where run_id = ?", (run_id,)).fetchall()
        rows = [(name, index, _strip(line, name, without)) for index, line in lines]
        database.executemany("insert into frames (run_id, idx, line) values (?, ?, ?)", rows)
    database.close()


def _strip(line: bytes, name: str, without: Collection[str]) -> bytes:
    frame = json.loads(unpack_line(line)) | {"run": name}
    if frame["type"] == "step":
        for part in ("values", "log10", "status"):
            frame[part] = {key: value for key, value in frame[part].items() if key not in without}
    return json.dumps(frame, separators=(",", ":")).encode() + b"\n"
