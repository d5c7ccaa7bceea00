"""Define `trace model.safetensors`: read the static mixing of a checkpoint without running the model."""

import argparse
import sys
from pathlib import Path
from typing import Any

from mhc_core.spec import SpecError


def add_parser(commands: Any) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser("trace", help="read the static mixing of a checkpoint, without running it")
    parser.add_argument("checkpoint", type=Path, help="a safetensors file, an index of several, or their folder")
    parser.add_argument("--out", type=Path, help="file for its record, *.mhct; by default none is written")
    parser.set_defaults(run=run)


def run(known: argparse.Namespace) -> int:
    """Read a checkpoint, write its record, and print its findings and a table of its layers."""
    from mhc_probe.checkpoint import read_checkpoint
    from mhc_probe.checkpoint.table import format_layers

    try:
        if known.out is not None:
            _check_out(known.out)
        result = read_checkpoint(known.checkpoint)
        if known.out is not None:
            result.save(known.out)
    except SpecError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    print(*(finding.text for finding in result.summary.findings), sep="\n")
    if table := format_layers(result):
        print("", table, sep="\n")
    return 0


def _check_out(out: Path) -> None:
    """Raise if the output cannot be written, before a large file is read."""
    if out.suffix != ".mhct":
        raise SpecError("--out", out.name, "a name that ends in .mhct")
    if not out.parent.is_dir():
        raise SpecError("--out", str(out.parent), "a folder that exists")
