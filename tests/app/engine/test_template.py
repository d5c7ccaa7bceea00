"""Workers are forked, so what they are forked from has no threads, and computes nothing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.conftest import ROOT, compute, start_server

pytestmark = pytest.mark.full

COUNT = """import os, sys, mhc_scope.engine.template, torch
print(len(os.listdir("/proc/self/task")), torch.cuda.is_initialized(), "mhc_scope.main" in sys.modules)"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere workers are not forked")
def test_the_template_has_one_thread_no_device_and_nothing_of_the_server() -> None:
    told = subprocess.run([sys.executable, "-c", COUNT], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert told.split() == ["1", "False", "False"]


def test_without_what_they_are_forked_from_workers_start_all_the_same(tmp_path: Path) -> None:
    server = start_server(tmp_path, "--no-precompute", "--workers", "1", forked=False)
    try:
        (template,) = [
            pid
            for task in Path(f"/proc/{server.process.pid}/task").glob("*/children")
            for pid in map(int, task.read_text().split())
            if b"forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        (worker,) = server.worker_pids()
        os.kill(template, signal.SIGKILL)
        with httpx.Client(base_url=server.api, timeout=60) as http:
            deadline = time.monotonic() + 30
            while worker in (now := server.worker_pids()) or not now:  # what it computed would fail with it
                assert time.monotonic() < deadline
                time.sleep(0.05)
            compute(http, {"depth": 2, "width": 16})
    finally:
        server.kill()
