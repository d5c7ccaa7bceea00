"""Models to run in many ways, and what is recorded of them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.record.result import Result
from mhc_probe import attach
from tests.probe.attach.attachable import IDS, build_deepseek
from tests.probe.attach.zoo import ZOO

BOTH = pytest.mark.parametrize("name", ["DeepSeek-V4", "Llama"])
# Of streams in the full suite alone, which does nothing else there.
EITHER = pytest.mark.parametrize("name", ["Llama", pytest.param("DeepSeek-V4", marks=pytest.mark.full)])
SIZES = ("act_rms", "grad_rms", "branch_in_rms", "branch_out_rms", "branch_grad_rms", "param_grad_norm")
GAINS = ("composite_gain_fwd", "composite_gain_bwd")


def build(name: str) -> Any:
    return build_deepseek() if name == "DeepSeek-V4" else ZOO[name].build()


def feed(model: Any, ids: torch.Tensor = IDS, **kwargs: Any) -> torch.Tensor:
    loss: torch.Tensor = model(input_ids=ids, labels=ids, **kwargs).loss
    return loss


def record_pass(model: Any, run: Callable[[Any], object]) -> Result:
    with attach(model) as probe:
        run(model)
    return probe.result()


def go(model: Any) -> None:
    feed(model).backward()


def assert_same(one: Result, other: Result, tolerance: float = 1e-6, keys: tuple[str, ...] = SIZES) -> None:
    assert one.blocks == other.blocks
    for key in (*keys, *GAINS):
        np.testing.assert_allclose(one.layers[key], other.layers[key], rtol=tolerance, err_msg=key)
    np.testing.assert_allclose(one.matrices["h_res"], other.matrices["h_res"], atol=tolerance)


def keep(states: list[torch.Tensor], module: Any, args: Any, output: Any) -> None:
    states.append((output[0] if isinstance(output, tuple) else output).detach())
