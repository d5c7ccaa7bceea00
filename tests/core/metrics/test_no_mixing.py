"""A metric of another package that reads the mixing is left out of a run whose layers read earlier outputs."""

import numpy as np
import pytest
import torch

from mhc_core.checks.recomputation import recompute
from mhc_core.checks.reference_columns import REFERENCES
from mhc_core.measure.run import run
from mhc_core.metric import Chart, LayerBlock, LayerMetric, Metric, NoMixing, ReferenceLayer
from mhc_core.metrics import LAYER_METRICS, METRICS
from mhc_core.spec import RunSpec
from tests.core.conftest import build_spec, collect


def measure_writing(block: LayerBlock) -> torch.Tensor:
    return block.h_post.reshape(len(block.h_post), -1).abs().amax(1)


def measure_again(spec: RunSpec, layer: ReferenceLayer) -> float:
    return float(np.abs(layer.h_post).max())


WRITING = LayerMetric(
    metric=Metric(
        "largest_write", "Largest write", "", "linear", "L", "forward", "Largest weight.", "max H_post", "us"
    ),
    measure=measure_writing,
    reference=measure_again,
    chart=Chart(reading="Read it.", symbol="w"),
)


@pytest.mark.parametrize("kind", ["attnres", "hc", "residual"])
def test_it_is_measured_where_there_is_mixing_alone(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METRICS, "largest_write", WRITING.metric)
    monkeypatch.setitem(LAYER_METRICS, "largest_write", WRITING)
    monkeypatch.setitem(REFERENCES, "largest_write", "states")
    spec = build_spec(connection={"kind": kind})
    result, recomputed = collect(list(run(spec))), recompute(spec)
    for columns in (result.layers, recomputed.columns):
        assert ("largest_write" in columns) == (kind != "attnres")


def test_the_error_names_what_is_not_there() -> None:
    empty = torch.zeros(1, 1, 1)
    block = LayerBlock(empty.unsqueeze(0), empty, empty, empty, [object()])
    with pytest.raises(NoMixing, match=r"^h_res is not there: this connection has no mixing"):
        block.h_res  # noqa: B018
