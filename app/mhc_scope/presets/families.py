"""Measure every family in the stack of the opening view, for the page `/families`.

The numbers are stored in `families.json`, because runs take seconds. `python -m mhc_scope.presets.families` measures
the families that the file lacks; with `--all` it measures all of them again.
"""

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from mhc_core.record.result import Result
from mhc_core.spec import FAMILIES, RunSpec, parse_spec
from mhc_scope.presets.opening import OPENING

FILE = Path(__file__).with_name("families.json")
LAYER = 16  # layer whose H_res is shown, from 0; on the page it is layer 17 of 64
DIGITS = 7


@dataclass(frozen=True)
class Measured:
    """Measurements of one family.

    id: id of the run. h_res: H_res of one layer, (n, n); None for one stream. gain_forward, gain_backward: largest
    composite gains over depth; None if layers do not mix a state.
    """

    id: str
    h_res: list[list[float]] | None
    gain_forward: float | None
    gain_backward: float | None


def build_family_spec(kind: str) -> RunSpec:
    """Build the spec of the opening view with another connection. Mapped families are initialised like its mHC."""
    for spec in OPENING.specs:
        if spec.connection.kind == kind:
            return spec
    mapped = next(spec for spec in OPENING.specs if spec.family.is_mapped)
    init = {"init": mapped.connection.init} if FAMILIES[kind].is_mapped else {}
    return parse_spec({"connection": {"kind": kind, **init}})


def measure_family(kind: str) -> Measured:
    """Compute the run of the opening view with a family, and return its gains and H_res of one layer."""
    from mhc_core.measure.run import run  # imports torch, which reading the file does not need

    spec, result = build_family_spec(kind), Result()
    for frame in run(spec):
        result.add(frame)
    if not spec.family.has_mixing:
        return Measured(spec.id, None, None, None)
    h_res = result.matrices["h_res"][LAYER] if spec.family.has_streams else None
    return Measured(
        spec.id,
        None if h_res is None else [[_round_digits(value) for value in row] for row in h_res],
        _round_digits(result.layers["composite_gain_fwd"].max()),
        _round_digits(result.layers["composite_gain_bwd"].max()),
    )


def _round_digits(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def read_measured() -> dict[str, Measured]:
    """Return the stored measurements of families by kind. Families of other packages have none."""
    return {kind: Measured(**entry) for kind, entry in json.loads(FILE.read_text()).items()}


def main(arguments: Iterable[str]) -> None:
    """Measure the families that the file lacks, or all with `--all`, and write the file."""
    stored = {} if "--all" in arguments or not FILE.is_file() else read_measured()
    found = {
        kind: stored[kind] if kind in stored and stored[kind].id == build_family_spec(kind).id else measure_family(kind)
        for kind in FAMILIES
    }
    lines = [f"{json.dumps(kind)}: {json.dumps(asdict(measured))}" for kind, measured in found.items()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
