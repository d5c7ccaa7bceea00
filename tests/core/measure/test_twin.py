"""Twins: of a record whose spec is known, the spec is told from its numbers alone."""

from typing import Any, get_args

import numpy as np
import pytest

from mhc_core.measure.twin import MAX_DEPTH, MAX_STREAMS, build_twin
from mhc_core.record.result import Result
from mhc_core.spec import RunSpec
from mhc_core.spec.connection import InitPreset
from tests.core.conftest import SMALL, build_spec, collect, run_frames
from tests.records import anonymise
from tests.traced import read_trace


def as_trace(spec: RunSpec, **changes: Any) -> Result:
    """What a run measured, as if of a model that no one knows the spec of."""
    return collect(anonymise(run_frames(spec), **changes))


@pytest.mark.parametrize("noise", [0.0, 0.1])
@pytest.mark.parametrize("init", get_args(InitPreset))
def test_the_initialisation_is_told_by_the_mixing(init: str, noise: float) -> None:
    spec = build_spec(connection={"kind": "mhc", "init": init, "dynamic": True, "noise": noise}, depth=8)
    told = build_twin(as_trace(spec)).spec
    assert told.connection.init == init
    assert (told.depth, told.streams, told.connection.kind) == (8, 4, "mhc")


def test_a_model_that_draws_its_projections_is_dynamic() -> None:
    for init, is_dynamic in (("residual", False), ("megatron", True), ("deepseek_v4", True)):
        spec = build_spec(connection={"kind": "mhc", "init": init, "dynamic": True, "noise": 0.0})
        assert build_twin(as_trace(spec)).spec.connection.is_dynamic is is_dynamic, init


@pytest.mark.parametrize(
    ("kind", "told"),
    [("residual", "residual"), ("hc", "hc"), ("mhc", "mhc"), ("kromhc", "mhc"), ("attnres", "attnres")],
)
def test_the_connection_is_told_by_the_sums(kind: str, told: str) -> None:
    assert build_twin(as_trace(build_spec(connection={"kind": kind}))).spec.connection.kind == told


@pytest.mark.parametrize(("block", "told"), [("mlp", "mlp"), ("transformer", "transformer"), ("conv", "conv")])
def test_the_block_is_told_by_its_names(block: str, told: str) -> None:
    spec = build_spec(SMALL, block={"kind": block}, input={"tokens": 9, "batch": 2})
    assert build_twin(as_trace(spec)).spec.block.kind == told


def test_names_that_say_nothing_are_said_to() -> None:
    twin = build_twin(as_trace(build_spec(), blocks=["GPT2Block"] * 4))
    assert twin.spec.block.kind == "transformer"
    assert any("GPT2Block" in sentence for sentence in twin.unknown)


def test_a_real_implementation_is_told() -> None:
    twin = build_twin(read_trace().result)
    assert twin.spec.connection.init == "deepseek_v4"
    assert twin.spec.connection.is_dynamic
    assert twin.spec.block.kind == "transformer"


def test_a_skip_that_is_no_identity_is_said() -> None:
    result = as_trace(build_spec(connection={"kind": "residual"}))
    assert not any("passes a layer by" in sentence for sentence in build_twin(result).unknown)
    result.matrices["h_res"] = np.full_like(result.matrices["h_res"], np.nan)
    twin = build_twin(result)
    assert twin.spec.connection.kind == "residual"
    assert any("passes a layer by" in sentence for sentence in twin.unknown)


def test_lost_mixing_is_said() -> None:
    result = as_trace(build_spec(connection={"kind": "hc"}))
    result.matrices["h_res"][2] = np.nan
    assert any("lacks or has lost" in sentence for sentence in build_twin(result).unknown)


def test_limits_are_those_of_a_spec() -> None:
    schema = RunSpec.model_json_schema()
    assert schema["properties"]["depth"]["maximum"] == MAX_DEPTH
    assert schema["$defs"]["ConnectionSpec"]["properties"]["streams"]["maximum"] == MAX_STREAMS
