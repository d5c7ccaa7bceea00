"""Runs of pytest, each in a process of its own, forked from this one, which has imported the large libraries."""

import contextlib
import importlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import pytest

Outcome = Literal["passed", "failed", "hung"]
# Nothing that imports this program: its modules must come from the copy, with their faults.
LIBRARIES = (
    "torch",
    "numpy",
    "pydantic",
    "plotly.graph_objects",
    "fastapi.testclient",
    "sqlalchemy",
    "httpx",
    "orjson",
)
OUR_PACKAGES = ("mhc_core", "mhc_probe", "mhc_scope", "mhc_service", "tests")
NOTHING_RAN = 5
TESTS, COMPILE_S = ("tests/core", "tests/oracles", "tests/app", "tests/contract"), 300.0
# Libraries that were imported before pytest may be plugins of it.
IMPORTED = "ignore:Module already imported:pytest.PytestAssertRewriteWarning"
OPTIONS = ("-x", "-q", "-p", "no:cacheprovider", "-W", IMPORTED)


def import_libraries() -> None:
    """What each run would else import for itself, for 3 s."""
    for pool in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[pool] = "1"
    for name in LIBRARIES:
        importlib.import_module(name)


def run_pytest(copy: Path, arguments: Sequence[str], plugins: Sequence[object], log: Path, limit_s: float) -> Outcome:
    """Whether tests of the copy pass; the first that fails ends the run."""
    return run_forked(lambda: _run(copy, arguments, plugins), log, limit_s)


def compile_copy(copy: Path, log: Path) -> None:
    """Write bytecode of the program and its tests, which runs with a fault only read."""
    run_forked(lambda: _run(copy, ["--collect-only", *TESTS], [], writes_bytecode=True), log, COMPILE_S)


def run_forked(work: Callable[[], int], log: Path, limit_s: float) -> Outcome:
    """Run in a process that is killed, with all that it started, at its time limit."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _become_child(work, log)
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            _kill_group(pid)
            return "passed" if os.waitstatus_to_exitcode(status) in (0, NOTHING_RAN) else "failed"
        time.sleep(0.02)
    _kill_group(pid)
    os.waitpid(pid, 0)
    return "hung"


def _become_child(work: Callable[[], int], log: Path) -> None:
    code = 1
    try:
        os.setsid()
        sink = os.open(log, os.O_WRONLY | os.O_TRUNC | os.O_CREAT)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        code = work()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def _run(copy: Path, arguments: Sequence[str], plugins: Sequence[object], *, writes_bytecode: bool = False) -> int:
    os.chdir(copy)
    sys.path[:0] = [str(copy)]
    sys.dont_write_bytecode = not writes_bytecode
    os.environ["PYTHONDONTWRITEBYTECODE"] = "" if writes_bytecode else "1"
    for name in [name for name in sys.modules if name.partition(".")[0] in OUR_PACKAGES]:
        del sys.modules[name]
    return int(pytest.main([*OPTIONS, *arguments], plugins))


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
