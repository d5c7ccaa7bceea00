"""Containers: what is saved is read back the same, for every kind of record that this program makes."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from mhc_core.record.codec import decode_line, encode_frame
from mhc_core.record.container import read_frames, write_frames
from mhc_core.record.frames import AnyFrame
from mhc_core.record.result import Result
from mhc_core.spec import RunSpec, SpecError
from tests.core.conftest import CONNECTIONS, SMALL, build_spec, collect, run_frames
from tests.traced import read_trace

EXTREMES: dict[str, dict[str, Any]] = {
    "training": {"train": {"steps": 3}},
    "training that explodes": {"depth": 40, "connection": {"kind": "hc"}, "train": {"steps": 3, "lr": 1.0}},
    "seeds": {"seeds": 3},
    "jacobian": {"jacobian": 8},
    "float32": {"dtype": "float32"},
    "overflow": {"dtype": "float32", "depth": 200, "connection": {"kind": "hc", "noise": 5.0}},
    "underflow": {"dtype": "float32", "depth": 60, "connection": {"kind": "none"}, "block": {"branch_scale": 0.001}},
    "one layer": {"depth": 1},
}


def encode(frames: list[AnyFrame]) -> list[bytes]:
    """The lines of a record."""
    return [encode_frame(frame, "", index) for index, frame in enumerate(frames)]


def check_round_trip(frames: list[AnyFrame]) -> None:
    """The same numbers come back; from then on the same bytes (a float32 is written as `1e-6` or as `0.000001`)."""
    read = encode(list(read_frames(pack(frames))))
    assert [orjson.loads(line) for line in read] == [orjson.loads(line) for line in encode(frames)]
    assert encode(list(read_frames(pack([decode_line(line) for line in read])))) == read


def pack(frames: list[AnyFrame]) -> io.BytesIO:
    file = io.BytesIO()
    write_frames(file, frames)
    return file


def build(fields: dict[str, Any]) -> RunSpec:
    return build_spec(SMALL, **fields)


@pytest.mark.sample(4)
@pytest.mark.parametrize("name", CONNECTIONS)
def test_a_run_of_every_connection_is_read_back(name: str) -> None:
    check_round_trip(list(run_frames(build({"connection": CONNECTIONS[name], "train": {"steps": 2}}))))


@pytest.mark.sample(4)
@pytest.mark.parametrize("name", EXTREMES)
def test_what_has_left_its_range_is_read_back_too(name: str) -> None:
    check_round_trip(list(run_frames(build(EXTREMES[name]))))


def test_a_trace_is_saved_and_loaded(tmp_path: Path) -> None:
    trace = read_trace()
    trace.result.save(tmp_path / "ours.mhct")
    loaded = Result.load(tmp_path / "ours.mhct")
    assert [encode_frame(frame, trace.id, index) for index, frame in enumerate(loaded.frames)] == trace.lines
    assert loaded.source == trace.source
    for key, column in trace.result.layers.items():
        np.testing.assert_array_equal(loaded.layers[key].astype(np.float32), column.astype(np.float32))


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    frames = read_trace().result.frames
    assert pack(frames).getvalue() == pack(frames).getvalue()


def test_other_programs_read_it(tmp_path: Path) -> None:
    """With nothing but a zip reader and JSON, as docs/protocol.md says."""
    trace = read_trace()
    with zipfile.ZipFile(pack(trace.result.frames)) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        lines = archive.read("frames.ndjson").splitlines()
    assert (manifest["format"], manifest["version"], manifest["protocol"]) == ("mhct", 1, 1)
    assert manifest["model"] == {"name": trace.source.model.name, "parameters": trace.source.model.parameters}
    assert [json.loads(line)["index"] for line in lines] == list(range(manifest["frames"]))


def test_a_result_that_kept_no_frames_cannot_be_saved(tmp_path: Path) -> None:
    result = Result(keeps_frames=False)
    for frame in read_trace().result.frames:
        result.add(frame)
    with pytest.raises(ValueError, match="keeps_frames"):
        result.save(tmp_path / "empty.mhct")
    assert not (tmp_path / "empty.mhct").exists()


def test_a_file_that_is_no_container_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.mhct").write_text("frames")
    with pytest.raises(SpecError, match="mhct"):
        Result.load(tmp_path / "text.mhct")


def test_the_result_of_a_loaded_run_is_that_of_its_frames() -> None:
    frames = list(run_frames(build({})))
    loaded, there = collect(list(read_frames(pack(frames)))), collect(frames)
    assert loaded.layers.keys() == there.layers.keys()
    assert loaded.status == there.status
