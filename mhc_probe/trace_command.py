"""Define the command `trace model.safetensors`, which reads the static mixing of a checkpoint without running it."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mhc_core.spec import SpecError

if TYPE_CHECKING:
    from mhc_probe.checkpoint import Comparison

MAX_ROWS = 40


def add_parser(commands: Any) -> None:
    """Add the command `trace` and its options to the command line."""
    parser = commands.add_parser("trace", help="read the static mixing of a checkpoint, without running the model")
    parser.add_argument("checkpoint", type=Path, help="a safetensors file, an index of shards, or their folder")
    parser.add_argument(
        "--compare", type=Path, metavar="OTHER", help="another checkpoint: compare their mixing, layer by layer"
    )
    parser.add_argument("--out", type=Path, help="file for the record, *.mhct; not written by default")
    parser.set_defaults(run=run)


def run(known: argparse.Namespace) -> int:
    """Read a checkpoint, write its record, and print findings and a table of its layers, or how another one differs.

    Return the exit code: 0, 1 if two compared checkpoints differ in their mixing, or 2 if a file cannot be read.
    """
    from mhc_probe.checkpoint import compare_checkpoints, read_checkpoint
    from mhc_probe.checkpoint.table import format_layers

    try:
        if known.out is not None:
            _check_output_path(known.out)
        result = read_checkpoint(known.checkpoint)
        if known.out is not None:
            result.save(known.out)
        compared = None if known.compare is None else compare_checkpoints(known.checkpoint, known.compare)
    except SpecError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    if compared is not None:
        print(*_show(compared), sep="\n")
        return 0 if compared.is_same else 1
    print(*(finding.text for finding in result.summary.findings), sep="\n")
    if table := format_layers(result):
        print("", table, sep="\n")
    return 0


def _show(compared: "Comparison") -> Iterator[str]:
    """Yield the lines of a comparison: one per layer in which two checkpoints differ, then sentences."""
    keys = list(compared.differences)
    rows = list(zip(compared.layers, *(compared.differences[key] for key in keys), strict=True))
    shown = [row for row in rows if not all(value <= compared.tolerance for value in row[1:])]
    if shown:
        yield f"{'largest difference':24}" + "".join(f"{key:>12}" for key in keys)
    for name, *values in shown[:MAX_ROWS]:
        yield f"{name:24}" + "".join(f"{value:12.3g}" for value in values)
    if len(shown) > MAX_ROWS:
        yield f"and {len(shown) - MAX_ROWS} more"
    yield from compared.describe()


def _check_output_path(out: Path) -> None:
    """Raise SpecError if the record cannot be written to a path, before a large file is read."""
    if out.suffix != ".mhct":
        raise SpecError("--out", out.name, "a name that ends in .mhct")
    if not out.parent.is_dir():
        raise SpecError("--out", str(out.parent), "a folder that exists")
