"""Traces from a script, against a real server: from a file and from memory, back again, and beside their twins."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mhc_core.record.result import Result
from mhc_probe.client import Client, RefusedError
from tests.conftest import Server
from tests.traced import NAME, read_trace


@pytest.fixture
def script(server: Server) -> Iterator[Client]:
    """A client of the shared server."""
    with Client(server.url) as made:
        yield made


def test_a_trace_comes_back_as_it_was(script: Client, server: Server, tmp_path: Path) -> None:
    recorded = read_trace().result
    recorded.save(tmp_path / "ours.mhct")
    trace = script.publish(tmp_path / "ours.mhct")
    assert script.publish(recorded) == trace
    assert trace.url.startswith(server.url)
    back = script.result(trace)
    assert back.source == recorded.source
    arrays = back.to_arrays()
    for name, column in recorded.to_arrays().items():  # lists of JSON come back as float64, whatever they were
        np.testing.assert_array_equal(arrays[name].astype(column.dtype), column)
    assert back.summary == recorded.summary
    assert script.get_run(trace).status == "done"
    assert script.figure(trace, "gain")["data"]
    assert trace._repr_mimebundle_()["text/plain"].startswith(f"Result: {NAME}, ")


@pytest.mark.full
def test_a_trace_stands_beside_its_twin(script: Client) -> None:
    trace = script.publish(read_trace().result)
    twin = script.get_twin(trace)
    run = script.submit(twin.spec)
    result = script.result(run)
    assert (result.depth, result.streams) == (read_trace().result.depth, read_trace().result.streams)
    assert all(" " in sentence for sentence in twin.unknown)
    assert script.figure(trace, "gain", others=[run], difference=True)["data"]


@pytest.mark.full
def test_a_run_is_kept_in_a_file(script: Client, tmp_path: Path) -> None:
    result = script.result(script.submit({"depth": 2, "width": 16, "input": {"tokens": 16}}))
    result.save(tmp_path / "run.mhct")
    assert Result.load(tmp_path / "run.mhct").summary == result.summary


def test_what_is_no_trace_is_refused_by_its_field(script: Client, tmp_path: Path) -> None:
    path = tmp_path / "no.mhct"
    path.write_bytes(io.BytesIO(b"no zip").getvalue())
    with pytest.raises(RefusedError) as caught:
        script.publish(path)
    assert 400 <= caught.value.status < 500
    assert caught.value.errors
