"""Ship finished records of presets: a fresh server shows them without computing anything.

There is one file per run, named by the run's id. An id is a hash of the spec and the numerics version, so a record of
other numerics is never served instead of this version's. Its first frame says on which device and with which versions
it was computed, as in any stored run.

`python -m mhc_scope.presets.records` computes what is missing, deletes what no preset has, and writes the sketches of
the gallery from the records; with `--all` it computes every record again, as is needed after a change of the findings.
"""

import lzma
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from mhc_core.record import codec
from mhc_core.record.result import Result
from mhc_core.spec import RunSpec
from mhc_scope.presets import PRESETS
from mhc_scope.presets.opening import OPENING

FOLDER = Path(__file__).with_name("records")


def list_specs() -> dict[str, RunSpec]:
    """Return the runs that ship with the package, by id: those of the opening view and the presets."""
    specs = [spec for preset in (OPENING, *PRESETS) for spec in preset.specs]
    return {spec.id: spec for spec in specs}


SPECS: Mapping[str, RunSpec] = list_specs()


def read_record(run_id: str) -> list[bytes] | None:
    """Return the encoded frames of a run from index 0, without `end`; None if no record of it ships."""
    path = FOLDER / f"{run_id}.xz"
    if run_id not in SPECS or not path.is_file():
        return None
    return lzma.decompress(path.read_bytes()).splitlines(keepends=True)


def read_result(run_id: str) -> Result:
    """Return the columns of a record that ships."""
    lines = read_record(run_id)
    assert lines is not None, f"no record of run {run_id} ships: python -m mhc_scope.presets.records"
    result = Result()
    for line in lines:
        result.add(codec.decode_line(line))
    return result


def write_record(spec: RunSpec) -> None:
    """Compute a run and store its record."""
    from mhc_core.measure.run import run  # imports torch, which reading records does not need

    lines = [codec.encode_frame(frame, spec.id, index) for index, frame in enumerate(run(spec))]
    (FOLDER / f"{spec.id}.xz").write_bytes(lzma.compress(b"".join(lines), preset=9 | lzma.PRESET_EXTREME))


def main(arguments: Iterable[str]) -> None:
    """Compute the missing records of presets, then the sketches; `--all` computes every record again."""
    from mhc_scope.presets.sketches import write_sketches

    is_all = "--all" in arguments
    stored = {path.stem: path for path in FOLDER.glob("*.xz")}
    for run_id in stored.keys() - SPECS.keys():
        stored[run_id].unlink()
    missing = [spec for run_id, spec in SPECS.items() if is_all or run_id not in stored]
    for number, spec in enumerate(missing, start=1):
        write_record(spec)
        sys.stderr.write(f"{number} of {len(missing)}: {spec.id}\n")
    write_sketches()


if __name__ == "__main__":
    main(sys.argv[1:])
