"""Servers, and their workers, forked from a process that has imported the app: their start pays for no import of torch.

What runs is the command line itself, in a process of its own. `tests/app/test_cli.py` starts one as people do.
"""

import contextlib
import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

_context = multiprocessing.get_context("forkserver")


def start_fork_server() -> None:
    """Start what servers and workers are forked from, unless it runs."""
    _context.set_forkserver_preload(["mhc_scope.engine.template", "mhc_scope.main", "tests.forked", "tests.frozen"])
    forkserver.ensure_running()


def find_workers(pid: int) -> list[int]:
    """Process ids of the workers of a process that has engines, by their names."""
    name = f"mhc of {pid}"
    found = []
    for path in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # It has ended since.
            if path.read_text().strip() == name and _state(path.parent) != "Z":
                found.append(int(path.parent.name))
    return sorted(found)


def _state(process: Path) -> str:
    return (process / "stat").read_text().rpartition(")")[2].split()[0]


class ForkedServer:
    """A process that is watched and ended as one of `subprocess.Popen`."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("serve", timeout or 0.0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()


def fork_server(arguments: list[str], log: Path) -> ForkedServer:
    """Start `python -m app` with these arguments; it prints to the end of the log."""
    return _fork(arguments, Path(os.devnull), log, log)


def run_command(arguments: Sequence[str], stdin: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run `python -m app` with these arguments to its end; what it reads and prints are files in the folder."""
    given, out, err = (folder / name for name in ("stdin", "stdout", "stderr"))
    given.write_text(stdin)
    for printed in (out, err):
        printed.write_bytes(b"")  # it may hold what an earlier command printed
    code = _fork(list(arguments), given, out, err).wait(timeout=60)
    return subprocess.CompletedProcess(arguments, code, out.read_text(), err.read_text())


def _fork(arguments: list[str], given: Path, out: Path, err: Path) -> ForkedServer:
    start_fork_server()
    process = _context.Process(target=_run, args=(arguments, given, out, err))
    process.start()
    return ForkedServer(process)


def _run(arguments: list[str], given: Path, out: Path, err: Path) -> None:
    threading.Thread(target=_end_with_tests, daemon=True).start()
    # A child of a fork server may use it too; CPython would start another one all the same.
    forkserver.connect_to_new_process.__self__.ensure_running = lambda: None  # type: ignore[attr-defined]
    forkserver.ensure_running = lambda: None
    os.dup2(os.open(given, os.O_RDONLY), 0)
    os.dup2(os.open(out, os.O_WRONLY | os.O_APPEND | os.O_CREAT), 1)
    os.dup2(os.open(err, os.O_WRONLY | os.O_APPEND | os.O_CREAT), 2)
    sys.stdin = os.fdopen(0)  # multiprocessing has closed it
    os.chdir(ROOT)
    # An operator's settings must not reach a test.
    for name in [name for name in os.environ if name.startswith("MHC_")]:
        del os.environ[name]
    from mhc_scope.cli import main
    from tests.limited import apply_limits

    sys.exit(main(apply_limits(arguments)))


def _end_with_tests() -> None:
    """Where the tests are killed, their servers end too."""
    tests = multiprocessing.parent_process()
    assert tests is not None
    tests.join()
    os._exit(1)
