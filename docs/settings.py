"""Write docs/settings.md, the table of the server's settings, from `mhc_scope.settings`. `make settings` runs it."""

from pathlib import Path
from typing import Any

from mhc_scope.settings import Settings

TARGET = Path(__file__).with_name("settings.md")
HEAD = """# Settings of the server

Each setting is a flag of `mhc-scope serve` and an environment variable; a flag wins over its variable.
`make settings` writes this file from `app/mhc_scope/settings.py`.

| variable | flag | default | meaning |
|---|---|---|---|
"""


def describe() -> str:
    """The whole document."""
    rows = []
    for name, field in Settings.model_fields.items():
        flag = name.replace("_", "-")
        rows.append(f"| `MHC_{name.upper()}` | `--{flag}` | {_format_default(field.default)} | {field.description} |\n")
    return HEAD + "".join(rows)


def _format_default(default: Any) -> str:
    if default == "":
        return ""
    is_whole = isinstance(default, float) and default.is_integer()
    return f"`{int(default) if is_whole else default}`"


if __name__ == "__main__":
    TARGET.write_text(describe())
