"""Store finished records of presets in the package, so that a new server shows them without computing anything.

There is one file per run, named by the run's id. Runs with the same training that differ in their edits share a file,
because most of their frames are equal. An id is a hash of the spec and the numerics version, so that a record of other
numerics is never served. As in any stored run, the first frame has the device and the versions with which the record
was computed.

`python -m mhc_scope.presets.records` computes missing records, deletes those of no preset, and writes the sketches of
the gallery. With `--all` it computes every record again, as is necessary after a change of the findings.
"""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from mhc_core.record import codec
from mhc_core.record.result import Result
from mhc_core.spec import RunSpec
from mhc_scope.presets import PRESETS
from mhc_scope.presets.opening import OPENING
from mhc_scope.presets.packing import pack, unpack

FOLDER = Path(__file__).with_name("records")


def list_specs() -> dict[str, RunSpec]:
    """Return the specs, by id, whose records belong in the package: those of the opening view and the presets."""
    return {spec.id: spec for preset in (OPENING, *PRESETS) for spec in preset.specs}


SPECS: Mapping[str, RunSpec] = list_specs()


def has_record(run_id: str) -> bool:
    """Return whether the package has the record of a run."""
    return run_id in SPECS and to_path(SPECS[run_id]).is_file()


def read_record(run_id: str) -> list[bytes] | None:
    """Return the encoded frames of a run from index 0, without `end`; None if the package does not have its record."""
    found = _read_lines(to_path(SPECS[run_id])) if run_id in SPECS else []
    return [line for line in found if _find_run_id(line) == run_id] or None


def to_path(spec: RunSpec) -> Path:
    """Return the path of the file with the record of a spec."""
    shared = spec.model_copy(update={"edits": ()}) if spec.train.steps else spec
    return FOLDER / f"{shared.id}.br"


def _read_lines(path: Path) -> list[bytes]:
    return unpack(path.read_bytes()) if path.is_file() else []


def _find_run_id(line: bytes) -> str:
    """Return the id of the run in an encoded frame, which begins with `{"run":"…",`."""
    return line.split(b'"', 4)[3].decode()


def read_result(run_id: str) -> Result:
    """Return the columns of a record in the package."""
    lines = read_record(run_id)
    assert lines is not None, f"no record of run {run_id} ships: python -m mhc_scope.presets.records"
    result = Result()
    for line in lines:
        result.add(codec.decode_line(line))
    return result


def write_record(spec: RunSpec) -> None:
    """Compute a run and store its record. Replace an earlier one, and keep other runs' records in the file."""
    from mhc_core.measure.run import run  # imports torch, which reading records does not need

    lines = [codec.encode_frame(frame, spec.id, index) for index, frame in enumerate(run(spec))]
    path, kept = to_path(spec), SPECS.keys() - {spec.id}
    others = [line for line in _read_lines(path) if _find_run_id(line) in kept]
    path.write_bytes(pack([*others, *lines]))


def main(arguments: Iterable[str]) -> None:
    """Compute the missing records of presets, or all with `--all`, then write the sketches."""
    from mhc_scope.presets.sketches import write_sketches

    is_all = "--all" in arguments
    for path in set(FOLDER.glob("*.br")) - {to_path(spec) for spec in SPECS.values()}:
        path.unlink()
    missing = [spec for run_id, spec in SPECS.items() if is_all or read_record(run_id) is None]
    for number, spec in enumerate(missing, start=1):
        write_record(spec)
        sys.stderr.write(f"{number} of {len(missing)}: {spec.id}\n")
    write_sketches()


if __name__ == "__main__":
    main(sys.argv[1:])
