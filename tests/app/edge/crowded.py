"""A server that may open few files."""

import contextlib
import os
import subprocess
import time
from pathlib import Path

import httpx

from tests.conftest import ROOT, START_S, Server
from tests.limited import to_command
from tests.ports import free_port


def start_with_descriptors(data: Path, descriptors: int, *flags: str, start_s: float = START_S) -> Server:
    """Start `python -m app serve` under `ulimit -n`, and wait until it is ready."""
    data.mkdir(parents=True, exist_ok=True)
    port, log = free_port(), data / "server.log"
    command = to_command(["serve", "--port", str(port), "--data", str(data), *flags])
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MHC_")}
    with log.open("ab") as sink:
        limited = ["bash", "-c", f'ulimit -n {descriptors} && exec "$@"', "bash", *command]
        process = subprocess.Popen(limited, cwd=ROOT, env=environment, stdout=sink, stderr=sink)
    server = Server(process, f"http://127.0.0.1:{port}", data, log)
    deadline = time.monotonic() + start_s
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{server.url}/readyz").status_code == 200:
                return server
        time.sleep(0.1)
    process.kill()
    process.wait()
    raise RuntimeError(f"the server did not become ready:\n{log.read_text()}")


def count_descriptors(server: Server) -> int:
    """How many files and connections its process has open."""
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))
