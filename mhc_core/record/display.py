"""Display of a record in a notebook. The package that draws figures registers an entry point, because this folder must
not import figures.
"""

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mhc_core.record.result import Result

GROUP = "mhc_scope.figures"
"""Entry points that take a result and return a MIME bundle; the first by name is used."""


def to_bundle(result: "Result") -> dict[str, Any]:
    """Return the display of a result in a notebook by media type; only text if no package that draws is installed."""
    painters = sorted(entry_points(group=GROUP), key=lambda point: point.name)
    bundle: dict[str, Any] = painters[0].load()(result) if painters else {}
    return {"text/plain": describe(result), **bundle}


def describe(result: "Result") -> str:
    """Describe a result in one line of text."""
    if not result.has_start:
        return "Result: no frame has come yet"
    streams = f"{result.streams} streams" if result.streams > 1 else "1 stream"
    return f"Result: {result.label}, {result.depth} layers, {streams}"
