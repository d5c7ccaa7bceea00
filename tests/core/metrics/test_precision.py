"""Every metric's promise: what float32 may cost, against the same run in float64. Depth 64, the default comparison."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from mhc_core.metrics import METRICS
from mhc_core.record.result import Result
from tests.core.conftest import build_spec, measure

DEFAULT: dict[str, Any] = {"depth": 64, "device": "cpu"}
COMPARED: dict[str, dict[str, Any]] = {
    "hc": {"kind": "hc"},
    "mhc": {"kind": "mhc"},
    "hc-dynamic": {"kind": "hc", "dynamic": True},
    # These have streams apart and mixing that changes from token to token.
    "mhc_lite": {"kind": "mhc", "init": "mhc_lite"},
    "deepseek_v4": {"kind": "mhc", "init": "deepseek_v4", "dynamic": True},
    "frac-dynamic": {"kind": "frac", "dynamic": True},
    "edited": {"kind": "mhc"},
    "gated": {"kind": "gated"},
    "values": {"kind": "residual"},
}
BLOCKS: dict[str, dict[str, Any]] = {"values": {"kind": "transformer", "heads": 2, "value_residual": "learned"}}
EDITS = {"edited": [{"layers": [20, 20], "what": "stream", "index": 2, "do": "zero"}]}


def columns_of(result: Result) -> Iterator[tuple[str, np.ndarray]]:
    yield from result.layers.items()
    yield from result.matrices.items()


def compare(name: str) -> dict[str, tuple[float, float]]:
    """Key -> largest absolute difference, and largest difference in units of what is promised."""
    specs = (
        build_spec(
            DEFAULT, connection=COMPARED[name], dtype=dtype, edits=EDITS.get(name, []), block=BLOCKS.get(name, {})
        )
        for dtype in ("float32", "float64")
    )
    single, double = map(measure, specs)
    mine, found = dict(columns_of(single)), {}
    for key, wanted in columns_of(double):
        precision = METRICS[key].precision
        assert precision is not None, key
        np.testing.assert_array_equal(np.isnan(mine[key]), np.isnan(wanted), err_msg=key)
        difference = np.abs(mine[key].astype(np.float64) - wanted)
        relative, absolute = precision
        allowed = relative * np.abs(wanted) + absolute
        excess = np.divide(difference, allowed, out=np.zeros_like(difference), where=difference > 0)
        found[key] = float(np.nanmax(difference, initial=0.0)), float(np.nanmax(excess, initial=0.0))
    return found


@pytest.mark.sample(8)
@pytest.mark.parametrize("name", COMPARED)
def test_float32_keeps_what_every_metric_promises(name: str) -> None:
    found = compare(name)
    for key, (difference, excess) in found.items():
        print(f"{name:12s} {key:28s} {difference:.1e}, {excess:.2f} of what is promised")
    assert {key: excess for key, (_, excess) in found.items() if excess > 1} == {}


@pytest.mark.full
def test_every_metric_makes_a_promise_and_is_held_to_it() -> None:
    # Training has none, for its steps enlarge any rounding; a Jacobian's values carry a bound of their own.
    promised = {key: metric.precision for key, metric in METRICS.items() if metric.frame not in ("step", "jacobian")}
    for key, precision in promised.items():
        assert precision is not None, key
        assert 0 < sum(precision) <= 1e-2, key
    assert set().union(*(compare(name) for name in COMPARED)) == set(promised)
