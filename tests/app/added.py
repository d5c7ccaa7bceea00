"""Packages of `examples/` that add to the instrument, installed for a test."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import ROOT, Server, start_server

EXAMPLES = ROOT / "examples"


def install_example(name: str, factory: pytest.TempPathFactory) -> Path:
    """Install an example with pip into a folder, without a network; return the folder."""
    source, target = factory.mktemp("source") / name, factory.mktemp("target")
    shutil.copytree(EXAMPLES / name, source)  # a build writes next to its sources
    flags = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "install", *flags, str(source)], check=True, timeout=120)
    return target


@contextmanager
def serve_with(installed: Path, data: Path) -> Iterator[Server]:
    """Run a server that finds the packages of a folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(installed), prepend=os.pathsep)
        running = start_server(data, "--no-precompute", "--workers", "1", forked=False)
    yield running
    running.kill()


def run_app(path: Path, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    """Run a command of `mhc-scope` that finds the packages of a folder."""
    environment = {"PYTHONPATH": f"{path}{os.pathsep}{ROOT}{os.pathsep}{ROOT / 'app'}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "app", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment, input=stdin, capture_output=True, text=True, timeout=120, check=False
    )
