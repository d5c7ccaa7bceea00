"""Dependencies point one way: the core knows nothing of the service."""

import ast
from pathlib import Path

from tests.conftest import ROOT

WEB = {"app", "fastapi", "starlette", "uvicorn", "sqlalchemy", "plotly", "orjson", "jinja2"}


def imported(path: Path) -> set[str]:
    """Top-level packages that a file imports, at any depth of its code."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_the_core_imports_nothing_of_the_web() -> None:
    files = list((ROOT / "mhc_core").rglob("*.py"))
    assert files
    for path in files:
        assert not imported(path) & WEB, path


def test_the_engine_and_the_store_know_nothing_of_http() -> None:
    for folder in ("engine", "store"):
        for path in (ROOT / "app" / folder).rglob("*.py"):
            assert not imported(path) & {"fastapi", "starlette"}, path
