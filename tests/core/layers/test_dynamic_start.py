"""Where dynamic mixing equals static at the start, and what makes it differ: what the page says of it."""

from typing import Any

import numpy as np
import pytest

from mhc_core.layers.inits import PRESETS, list_projecting
from mhc_core.spec.connection import BY_TOKEN, MAPPED
from tests.core.conftest import build_spec, measure

# Tokens move logits by 0.006 * 0.01 * sqrt(n C) and by 0.02 * 0.01, here 30 and 50 times less than Megatron's.
LEAST = {"hy_v4": 1e-5, "c_mhc": 5e-6}


def differ(connection: dict[str, Any], **fields: Any) -> float:
    """By how much dynamic mixing changes activations, as a share of them."""
    static, dynamic = (
        measure(build_spec(connection={**connection, "dynamic": dynamic}, **fields)).layers["act_rms"]
        for dynamic in (False, True)
    )
    return float(np.abs(np.asarray(dynamic) / np.asarray(static) - 1).max())


@pytest.mark.sample(4)
@pytest.mark.parametrize("init", PRESETS)
def test_it_changes_something_where_the_start_draws_projections_and_nowhere_else(init: str) -> None:
    found = differ(connection={"kind": "mhc", "init": init})
    assert found > LEAST.get(init, 1e-4) if init in list_projecting() else found < 1e-12


@pytest.mark.sample(4)
@pytest.mark.parametrize("kind", BY_TOKEN)
def test_it_changes_nothing_at_the_default_start(kind: str) -> None:
    assert differ(connection={"kind": kind}) < 1e-5


@pytest.mark.full
@pytest.mark.parametrize("kind", BY_TOKEN)
def test_training_makes_it_differ(kind: str) -> None:
    assert differ(connection={"kind": kind}, train={"steps": 20}) > 1e-6


@pytest.mark.sample(3)
@pytest.mark.parametrize("kind", MAPPED)
def test_the_start_that_the_page_offers_makes_it_differ(kind: str) -> None:
    assert differ(connection={"kind": kind, "init": "deepseek_v4"}) > 1e-4
