"""Write docs/settings.md, the tables of the server's settings, from their classes. `make settings` runs it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mhc_scope.settings import Settings
from mhc_service.settings import ServiceSettings

TARGET = Path(__file__).with_name("settings.md")
HEAD = """# Settings of the server

Each setting is a flag of `mhc-scope serve` and an environment variable; the flag takes precedence.
Names that end in `_S` are times in seconds. `make settings` writes this file from `app/mhc_scope/settings.py` and
`mhc_service/settings.py`.

## Every server

"""
SERVICE = """
## With `--service`

"""
COLUMNS = """| variable | flag | default | meaning |
|---|---|---|---|
"""


def describe() -> str:
    """Return the whole document."""
    own = Settings.model_fields.keys()
    added = [name for name in ServiceSettings.model_fields if name not in own]
    return HEAD + COLUMNS + _to_rows(own) + SERVICE + COLUMNS + _to_rows(added)


def _to_rows(names: Iterable[str]) -> str:
    rows = []
    for name in names:
        field = ServiceSettings.model_fields[name]
        flag = name.replace("_", "-")
        rows.append(f"| `MHC_{name.upper()}` | `--{flag}` | {_format_default(field.default)} | {field.description} |\n")
    return "".join(rows)


def _format_default(default: Any) -> str:
    if default == "":
        return ""
    is_whole = isinstance(default, float) and default.is_integer()
    return f"`{int(default) if is_whole else default}`"


if __name__ == "__main__":
    TARGET.write_text(describe())
