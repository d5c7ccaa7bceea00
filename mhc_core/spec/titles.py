"""Titles of fields, as the schema has them."""

from typing import Any

from mhc_core.spec.run_spec import RunSpec


def find_title(path: str) -> str:
    """Find the title of a field by its dotted path, such as `connection.streams`."""
    part: Any = RunSpec
    title = ""
    for name in path.split("."):
        found = part.model_fields[name]
        title, part = found.title or name, found.annotation
    return title
