"""A column of a shallower stack is the beginning of a deeper one's: for every metric that says so, and for no other."""

from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest

from mhc_core.layers.scaling import SCALINGS
from mhc_core.measure.run import run
from mhc_core.metrics import METRICS
from mhc_core.record.result import Result
from mhc_core.spec import FAMILIES, RunSpec, parse_spec
from mhc_core.spec.block import DEPTH_SCALED
from tests.core.conftest import CONNECTIONS, collect
from tests.core.drawn import draw_specs

pytestmark = pytest.mark.full

SPECS, DEPTHS = len(CONNECTIONS), (4, 7)


@cache
def measure(spec: RunSpec) -> Result:
    return collect(list(run(spec)))


def pairs() -> Iterator[tuple[Result, Result]]:
    """Runs of a few layers, each with its deeper twin; of families whose layers do not depend on the depth."""
    for spec in draw_specs(SPECS):
        if FAMILIES[spec["connection"]["kind"]].by_depth:
            continue
        shallow, deep = (measure(parse_spec({**spec, "depth": depth})) for depth in DEPTHS)
        yield shallow, deep


def begin(column: np.ndarray, like: np.ndarray) -> np.ndarray:
    """The block of a column that has the size of another one."""
    return column[tuple(slice(0, size) for size in like.shape)]


def is_same(key: str, shallow: np.ndarray, deep: np.ndarray) -> bool:
    """To 1e-6, also absolutely where the metric's precision has an absolute part."""
    precision = METRICS[key].precision
    absolute = 1e-6 if precision and precision[1] else 0.0
    return np.allclose(begin(deep, shallow), shallow, rtol=1e-6, atol=absolute, equal_nan=True)


def tables(result: Result) -> dict[str, np.ndarray]:
    return result.layers | result.matrices


def test_columns_that_are_prefixes_are_and_the_others_differ_somewhere() -> None:
    same: dict[str, list[bool]] = {}
    for shallow, deep in pairs():
        for key, column in tables(shallow).items():
            same.setdefault(key, []).append(is_same(key, column, tables(deep)[key]))
    wrong = {key: found for key, found in same.items() if METRICS[key].prefix != all(found)}
    assert wrong == {}
    assert {key for key in same if METRICS[key].prefix} > {"act_rms", "cka", "h_res", "unfolded", "composite_sigma2"}


def test_statuses_of_prefixes_are_prefixes() -> None:
    for shallow, deep in pairs():
        depth = shallow.start.layers
        for key, flags in shallow.status.items():
            if METRICS[key].prefix:
                assert flags == {layer: flag for layer, flag in deep.status[key].items() if layer < depth}, key


@pytest.mark.parametrize("scaling", DEPTH_SCALED)
def test_scaling_by_depth_keeps_no_layer(scaling: str) -> None:
    block = {"heads": 2, "scaling": scaling, "norm_position": "post" if scaling == "deepnorm" else "pre"}
    specs = [{"depth": depth, "width": 8, "block": block, "input": {"tokens": 9}} for depth in DEPTHS]
    shallow, deep = (measure(parse_spec(spec)) for spec in specs)
    assert not all(is_same(key, shallow.layers[key], deep.layers[key]) for key in ("act_rms", "branch_out_rms"))


@pytest.mark.parametrize("kind", [kind for kind, family in FAMILIES.items() if family.by_depth])
def test_a_family_that_depends_on_the_depth_keeps_no_layer(kind: str) -> None:
    specs = [{"depth": depth, "width": 8, "connection": {"kind": kind}, "block": {"heads": 2}} for depth in DEPTHS]
    shallow, deep = (measure(parse_spec({**spec, "input": {"tokens": 9}})) for spec in specs)
    assert not is_same("h_res", shallow.matrices["h_res"], deep.matrices["h_res"])


def test_scalings_that_do_not_know_the_depth_are_declared_so() -> None:
    settings = [parse_spec({"depth": depth, "block": {"norm_position": "post"}}) for depth in DEPTHS]
    known = {name for name, build in SCALINGS.items() if build(settings[0], 1) != build(settings[1], 1)}
    assert known == set(DEPTH_SCALED)
