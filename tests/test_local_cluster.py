"""`make cluster` as people start it: a run posted to one server is read from the other, and Ctrl-C stops all."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import ROOT, wait_for_end
from tests.contract.engine.bench import SMALL
from tests.service.postgresql import find_programs

pytestmark = pytest.mark.full
STOP_S = 60.0


@pytest.fixture
def cluster() -> Iterator["subprocess.Popen[str]"]:
    if find_programs() is None:
        pytest.skip("PostgreSQL is missing")
    command = [sys.executable, "-m", "deploy.local_cluster", "--ports", "0", "0", "--workers", "1"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.send_signal(signal.SIGINT)
        process.wait(STOP_S)


def read_addresses(process: "subprocess.Popen[str]") -> tuple[list[str], list[Path]]:
    """Addresses of the servers, and folders that have to be gone in the end."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "Ctrl-C" in line:
            break
    text = "".join(lines)
    return re.findall(r"http://\S+", text), [Path(log).parent for log in re.findall(r"log (\S+)\)", text)]


def test_a_run_of_one_server_is_read_from_the_other(cluster: "subprocess.Popen[str]") -> None:
    (first, second), folders = read_addresses(cluster)
    with (
        httpx.Client(base_url=f"{first}/api/v1", timeout=60) as one,
        httpx.Client(base_url=f"{second}/api/v1", timeout=60) as other,
    ):
        run_id = one.post("/runs", json=SMALL | {"seed": 3}).json()["id"]
        assert wait_for_end(one, run_id)["status"] == "done"
        assert other.get(f"/runs/{run_id}").json()["status"] == "done"
        assert one.get(f"/runs/{run_id}/result").json() == other.get(f"/runs/{run_id}/result").json()
    cluster.send_signal(signal.SIGINT)
    assert cluster.wait(STOP_S) == 0
    assert not any(folder.exists() for folder in folders)
    deadline = time.monotonic() + 10
    while (left := find_users(folders)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []


def find_users(folders: list[Path]) -> list[str]:
    """Processes that were told of one of the folders."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        found += [line for folder in folders if str(folder) in line]
    return found
