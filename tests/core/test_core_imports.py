"""The core needs the standard library, torch, numpy, pydantic, orjson and typing_extensions, and nothing else.

The last one is what pydantic itself reads types from on Python 3.11.
"""

import ast
import sys
from pathlib import Path

import mhc_core

ALLOWED = {"mhc_core", "torch", "numpy", "pydantic", "orjson", "typing_extensions"} | sys.stdlib_module_names
ROOT = Path(mhc_core.__file__).parent


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
            names.add("an import by name, which no test can follow")
    return names


def test_the_walk_sees_what_it_should() -> None:
    assert imported("def f():\n    import plotly.io as p\n    from app.x import y") == {"plotly", "app"}
    assert imported("importlib.import_module('app')") - ALLOWED


def test_the_core_needs_nothing_else() -> None:
    files = sorted(ROOT.rglob("*.py"))
    assert len(files) > 20
    strangers = {str(path.relative_to(ROOT)): imported(path.read_text()) - ALLOWED for path in files}
    assert {path: names for path, names in strangers.items() if names} == {}
