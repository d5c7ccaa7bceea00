"""The core needs the standard library, torch, numpy, pydantic, orjson and typing_extensions, figures plotly too.

The last one is what pydantic itself reads types from on Python 3.11. What a caller must ask for by name may need more:
the client, tables for pandas and polars, and callbacks of trainers.
"""

import ast
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mhc_core
from tests.conftest import Server

ALLOWED = {"mhc_core", "mhc_probe", "numpy", "orjson", "pydantic", "torch", "typing_extensions"}
ALLOWED |= sys.stdlib_module_names
BY_NAME = "an import by name, which no test can follow"
ASKED_FOR = {
    "mhc_core/discovery.py": {BY_NAME},  # files of a folder, and what an entry point names
    "mhc_core/figures": {"plotly"},
    "mhc_core/record/tables.py": {"pandas", "polars"},
    "mhc_probe/__init__.py": {BY_NAME},  # its own modules
    "mhc_probe/client": {"httpx", "tqdm"},
    "mhc_probe/command_targets.py": {BY_NAME},  # what the user names
    "mhc_probe/monitor/callbacks.py": {"lightning", "pytorch_lightning", "transformers"},
}
ROOT = Path(mhc_core.__file__).parent.parent

BLOCKED = """
import sys
sys.modules["torch"] = None
"""
NO_TORCH = (
    BLOCKED
    + """
from mhc_probe.client import Client
from mhc_core.metrics import METRICS
from mhc_core.record import codec

url, spec = sys.argv[1:]
with Client(url) as client:
    result = client.result(client.submit(codec.orjson.loads(spec)))
    print(result.depth, result.to_pandas()["act_rms"].notna().all(), len(METRICS) > 80)
"""
)
NO_HTTPX = """
import sys
sys.modules["httpx"] = None
import mhc_probe.client
"""


def imported(source: str) -> set[str]:
    """Top-level packages that a source text imports, at any depth of its code."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            names.add(str(node.module).split(".")[0])
        elif isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in (
            "__import__",
            "import_module",
        ):
            names.add(BY_NAME)
    return names


def test_the_walk_sees_what_it_should() -> None:
    assert imported("def f():\n    import plotly.io as p\n    from mhc_scope.x import y") == {"plotly", "mhc_scope"}
    assert imported("importlib.import_module('mhc_scope')") - ALLOWED


def test_the_core_needs_nothing_else() -> None:
    files = sorted(path for package in ("mhc_core", "mhc_probe") for path in (ROOT / package).rglob("*.py"))
    assert len(files) > 20
    strangers = {path.relative_to(ROOT).as_posix(): imported(path.read_text()) - ALLOWED for path in files}
    for place, names in ASKED_FOR.items():
        used = {path for path in strangers if path.startswith(place)}
        assert set().union(*(strangers[path] for path in used)) == names, place
        strangers = {path: found for path, found in strangers.items() if path not in used}
    assert {path: names for path, names in strangers.items() if names} == {}


@pytest.mark.full
def test_a_script_needs_no_torch(server: Server, fresh_spec: Callable[..., dict[str, Any]]) -> None:
    arguments = [server.url, json.dumps(fresh_spec())]
    said = subprocess.run([sys.executable, "-c", NO_TORCH, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert (said.returncode, said.stdout.split()) == (0, ["4", "True", "True"]), said.stderr


def test_the_client_says_what_it_lacks() -> None:
    said = subprocess.run([sys.executable, "-c", NO_HTTPX], cwd=ROOT, capture_output=True, text=True)
    assert said.returncode == 1
    assert "mhc_probe.client needs httpx: pip install 'mhc-scope[client]'" in said.stderr
